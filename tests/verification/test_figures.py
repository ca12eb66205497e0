"""Tables of verification pages and the results that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.measurement import Limits, read_results
from verification.figures import Figure, figure, held, judge, noted, number, percent, results_of, table
from verification.page import Section, put_page
from verification.runs import Mean


def test_cells_are_as_they_read():
    assert figure(1.2345, ".2f", "mm", more=" (x)") == "1.23 mm (x)"
    assert percent(0.1234, 2, sign=True) == "+12.34 %"
    assert percent(Mean(0.5, 0.01)) == "50.0 ± 1.0 %"
    assert number(Mean(2.0, float("nan")), 1, "s") == "2.0 ± nan s"


def test_figures_keep_all_digits_and_the_error():
    result = percent(Mean(0.123456789, 0.001)).result("share")
    assert (result.value, result.uncertainty, result.unit) == (12.3456789, 0.1, "percent")
    unknown = number(Mean(2.0, float("nan")), 1, "s").result("time")
    assert (unknown.value, unknown.uncertainty, unknown.unit) == (2.0, None, "s")
    assert figure(float("nan"), ".1f").result("none").value is None


@pytest.mark.parametrize(
    ("judged", "text", "verdict"),
    [
        (judge(0.02, Limits(high=0.02)), "met", "pass"),
        (judge(Mean(0.021, 0.1), Limits(high=0.02)), "**missed**", "tolerance exceeded"),
        (judge(1.0, Limits.within(0.1), reference=1.2), "**missed**", "tolerance exceeded"),
        (judge(float("nan"), Limits(high=1.0)), "**missed**", "not judged"),
        (held(True), "met", "pass"),
        (held(False), "**missed**", "tolerance exceeded"),
    ],
)
def test_word_and_verdict_agree(judged: Figure, text: str, verdict: str):
    assert judged == text
    assert judged.result("one").verdict == verdict


def test_a_table_gives_its_text_and_its_results():
    made = table(
        ("Ion", "MeV/u", "range (mm)", "spots", "share", "source", ""),
        [
            ("carbon", "120", figure(35.123, ".1f"), 12, percent(0.5), "QA 2", judge(0.1, Limits(high=1.0))),
            ("proton", "60", "-", 7, "no word", "QA 3", "-"),
        ],
    )
    assert made.splitlines()[0] == "| Ion | MeV/u | range (mm) | spots | share | source |  |"
    assert made.splitlines()[2] == "| carbon | 120 | 35.1 | 12 | 50.0 % | QA 2 | met |"
    results = {one.name: one for one in results_of(["## Ranges", made])}
    assert list(results) == [
        "Ranges: carbon, 120: range (mm)",
        "Ranges: carbon, 120: spots",
        "Ranges: carbon, 120: share",
        "Ranges: carbon, 120: verdict",
        "Ranges: proton, 60: range (mm)",
        "Ranges: proton, 60: spots",
        "Ranges: proton, 60: verdict",
    ]
    first, missing = (results[f"Ranges: {ion}: range (mm)"] for ion in ("carbon, 120", "proton, 60"))
    assert (first.value, first.unit, first.source) == (35.123, "mm", "QA 2")
    assert (missing.value, missing.verdict) == (None, "not judged")
    assert results["Ranges: proton, 60: spots"].value == 7.0


def test_the_head_of_a_column_says_the_unit():
    heads = ("Spotline Gy", "alpha /Gy", "mkm, 2.8 Gy", "R80 mm", "speed over 18 mm", "LETd (keV/um)")
    made = table(("Ion", *heads), [("carbon", *range(len(heads)))])
    units = [one.unit for one in results_of([made])]
    assert units == ["Gy", "per_Gy", "", "mm", "", "keV_per_um"]


def test_a_text_of_digits_is_no_result():
    """Times that depend on the machine are written as texts."""
    assert not results_of([table(("Beam", "spots", "per second"), [("carbon", 5, "120000")])])[1:]


def test_names_that_would_stand_twice_are_counted():
    made = table(("", "a", "a"), [("x", 1, 2)])
    assert [one.name for one in results_of(["# T", made, made])] == ["T: x: a", "T: x: a (2)", "T: x: a (3)",
                                                                    "T: x: a (4)"]  # fmt: skip


def test_a_page_and_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    section = Section("one", "Part one")
    section.table(("Beam", "size (mm)"), [("`carbon`", figure(2.0, ".1f", error=0.1))], "seed 0")
    parts = [
        "# A page",
        "",
        *section.markdown(),
        noted("Verdict: met.", largest_deviation=judge(1, Limits(high=2.0))),
    ]
    put_page(parts, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text.startswith("# A page\n\n## Part one\n\n| Beam | size (mm) |\n")
    assert text.endswith("Verdict: met.\n")
    found = read_results(tmp_path / "page.json")
    assert found.title == "A page"
    assert [(one.name, one.value, one.uncertainty) for one in found.results] == [
        ("Part one: carbon: size (mm)", 2.0, 0.1),
        ("Part one: largest deviation", 1.0, None),
    ]
    capsys.readouterr()
    put_page(parts, None)
    assert capsys.readouterr().out == text
