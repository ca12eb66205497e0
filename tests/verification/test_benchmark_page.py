"""The page of figures is put together from timings, whole, without measuring anything."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.processes import Memory, Starts
from benchmarks.report import Timing, page
from verification.page import put_page

RATES = {"proton 62.73 MeV/u, 100 %": 0.004, "carbon 221.45 MeV/u, 10 %": 0.005}
TIMINGS = [
    *(
        Timing({"kind": "loop", "name": name, "raw": raw, "ticks": 100_000}, least, 2.0 * least, 15)
        for name, least in RATES.items()
        for raw in (False, True)
    ),
    Timing({"kind": "replay", "name": "proton", "ticks": 1_000_000}, 0.010, 0.012, 7),
    Timing(
        {
            "kind": "field", "name": "cube (here)", "raw": False, "spots": 7, "spills": 1,
            "beam_on_s": 3.0, "loop_wall_s": 0.1, "wall_s": 0.3,
        },
        1.0, 1.0, 1,
    ),
    Timing({"kind": "path", "spots": 500, "times_ms": dict.fromkeys("abcd", 1.0)}, 0.06, 0.07, 7),
    *(
        Timing({"kind": "transport", "name": "carbon", "primaries": 1000, "threads": n}, 0.5 / n, 0.6, 5)
        for n in (1, 2)
    ),
    *(
        Timing({"kind": "gamma", "name": "smooth", "by": "Spotline", "threads": n, "points": 9}, 0.1, 0.2, 5)
        for n in (1, 2)
    ),
    *(
        Timing(
            {"kind": "dose", "name": "plan", "spots": spots, "spacing_mm": 2.5, "voxels": 8, "threads": 2},
            spots / 17600, 1.0, 5,
        )
        for spots in (17600, 70400)
    ),
]  # fmt: skip


def test_page_and_results_stand_beside_each_other(tmp_path: Path):
    starts = Starts(help_s=[0.1], compile_s=20.0, first_s=50.0, later_s=[5.0], start_s=[1.0])
    memory = Memory(spots=52_900, layers=100, peak_MiB=300.0, wall_s=9.0)
    where = tmp_path / "performance.md"
    put_page(page(TIMINGS, starts, memory), where)
    text = where.read_text(encoding="utf-8")
    assert "| proton 62.73 MeV/u, 100 % | 40.0 | 80.0 | 25 |" in text
    assert "20 to 25 | **missed** |" in text
    assert "| cube (here) | no | 7 | 1 | 3.00 s | 30 | 10.0 | 3.0 |" in text
    assert "delivery path of a layer of 500 spots | < 50 ms | 60 ms (median 70 ms) | **missed** |" in text
    assert "57 µs for each spot more" in text
    results = json.loads(where.with_suffix(".json").read_text(encoding="utf-8"))
    assert results["title"] == "Performance"
    named = {result["name"]: result for result in results["results"]}
    assert named["The fast loop: proton 62.73 MeV/u, 100 %: ns per sample"]["value"] == 40.0
