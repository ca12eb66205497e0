"""Hold what comes out of the simulation against published figures, and write it down.

    python -m verification.delivery                                   # print the page
    python -m verification.delivery --only jumps --seeds 4             # one section
    python -m verification.delivery --write docs/reference/verification-delivery.md

What is compared is what emerges from the loop of plant and control law: nothing here is read from the
beam-line file and printed again.  Pictures go to ``docs/images``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from verification import chambers, fields, jumps, particles, positions, reactions
from verification.figures import table
from verification.page import Section, circumstances, fill, page_parser, put_page, say
from verification.runs import ROOT, Job, Workers, deliver

IMAGES = ROOT / "docs" / "images"

SOURCES = """\
* **DDS**: Giordanengo et al., Med. Phys. 42 (2015) 263, the CNAO dose delivery system (section or table)
* **QA**: Mirandola et al., Med. Phys. 42 (2015), doi 10.1118/1.4928397
* **SL**: S. Rossi, slides, 27 Feb 2026
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes
    ----------
    seeds : int
        Seeds of most tables.
    faultless : int
        Fault-free deliveries of each plan.
    trials : int
        Spots per cell of the table of centroids.
    images : Path or None
        Where pictures go.
    folder : Path
        For beam lines that are made on the way.
    """

    seeds: int
    faultless: int
    trials: int
    images: Path | None
    folder: Path


Check = Callable[[Options, Workers], Section]

CHECKS: dict[str, Check] = {
    "particles": lambda o, w: particles.check_particles(o.seeds, w),
    "counts": lambda o, w: particles.check_counts(o.seeds, w, o.images),
    "transit": lambda o, w: positions.check_transit(min(o.seeds, 4), w),
    "position": lambda o, w: positions.check_position(o.seeds, w),
    "centroid": lambda o, w: positions.check_centroid(o.trials, w, o.images),
    "chambers": lambda o, w: chambers.check_chambers(min(o.seeds, 4), w),
    "intensity": lambda o, w: chambers.check_intensity(o.seeds, w),
    "beam-off": lambda o, w: reactions.check_beam_off(2 * o.seeds, w),
    "jumps": lambda o, w: jumps.check_jumps(2 * o.seeds, w),
    "settings": lambda o, w: jumps.check_settings(o.seeds, w),
    "uniform": lambda o, w: fields.check_uniform(o.seeds, w),
    "faultless": lambda o, w: fields.check_faultless(o.faultless, w),
    "plans": lambda o, w: fields.check_plans(o.folder, w),
}
"""Sections of the page, in its order."""


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that are asked for, and print or write the page."""
    asked = _parser().parse_args(arguments)
    names = asked.only or list(CHECKS)
    images = IMAGES if asked.write is not None else None
    start = time.perf_counter()
    say("compiling")
    deliver(Job(particles.UNIFORM))
    workers = Workers(asked.jobs)
    sections = []
    with tempfile.TemporaryDirectory() as folder:
        options = Options(asked.seeds, asked.faultless, asked.trials, images, Path(folder))
        for index, name in enumerate(names, start=1):
            say(f"{index}/{len(names)} {name}")
            sections.append(CHECKS[name](options, workers))
    workers.close()
    put_page(page(sections, time.perf_counter() - start), asked.write)
    return 0


def page(sections: list[Section], wall_s: float) -> list[str]:
    """Put the page together."""
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    missed = sum("missed" in verdict.verdict for verdict in verdicts)
    return [
        "# Verification of the delivery",
        fill(
            f"""What comes out of the simulated room of `cnao-h`, with the control law in the loop, held
            against what is published of the real system. `python -m verification.delivery --write
            docs/reference/verification-delivery.md` makes this page and its pictures in
            {max(1, round(wall_s / 60))} min; `--only` and a name make a single section. Made on
            {circumstances()}."""
        ),
        fill(
            f"""The simulation shows how such a system behaves. Many of its figures are assumed (see the
            [beam-line file](beam-line-file.md)), so a figure that is met is no proof for the real
            machine; one that is missed says where the simulation differs from it, or where the published
            figures do not go together. {missed} of the {len(verdicts)} below are missed; the sections say
            why."""
        ),
        SOURCES.strip(),
        "## Summary",
        table(
            ("What", "published", "source", "simulated", "verdict"),
            [(v.what, v.published, v.source or "-", v.found, v.verdict) for v in verdicts],
            keys=1,
        ),
        *(part for section in sections for part in section.markdown()),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = page_parser("python -m verification.delivery", __doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="a section; may be repeated")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of most tables (8)")
    parser.add_argument("--faultless", type=int, default=50, help="fault-free deliveries of each plan (50)")
    parser.add_argument(
        "--trials", type=int, default=2000, help="spots per cell of the table of centroids (2000)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes that work side by side (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
