"""The report of a campaign as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spotline.campaign.headers import CampaignFile, KindFigures, Worst
from spotline.campaign.row import Row
from spotline.faces.report.page import render, replace_page
from spotline.faces.report.tables import Pairs, Table
from spotline.faces.report.words import NOTHING, number, plain, power, short_hash
from spotline.hdf5 import keys_of

if TYPE_CHECKING:
    from spotline.faces.report.pictures import Picture

TEMPLATE = "campaign.html.j2"


def write_campaign_page(summary: CampaignFile, rows: Sequence[Row], path: Path) -> None:
    """Write the report of a campaign.

    Parameters
    ----------
    summary : CampaignFile
    rows : sequence of Row
        Of the table of runs.
    path : Path
        HTML file to write; one that exists is replaced.

    Raises
    ------
    spotline.errors.OutputError
        If the file cannot be written.
    """
    violated = sum(bool(row.violations) for row in rows)
    html = render(
        TEMPLATE,
        title=plain(summary.plan_label or summary.plan),
        status=("Invariants violated", "bad") if violated else ("All invariants held", "good"),
        facts=_facts(summary),
        results=_results(summary),
        invariants=_invariants(summary),
        failures=_failures(summary),
        violating=_violating(summary),
        kinds=kind_table(summary),
        pictures=_pictures(rows),
        summary=json.dumps(keys_of(summary), indent=2, ensure_ascii=False),
    )
    replace_page(html, path)


def _facts(summary: CampaignFile) -> Pairs:
    line = f"{summary.beamline}, version {summary.beamline_version}"
    drawn = summary.drawn_from
    faults = f"{len(drawn)} kinds in turn{', in pairs' if summary.pairs else ''}" if drawn else "none"
    if summary.fixed:
        faults = ", ".join(fault.kind for fault in summary.fixed)
    return [
        ("Plan", f"{summary.plan} ({short_hash(summary.plan_sha256)})"),
        ("Beam line", f"{line} ({short_hash(summary.beamline_sha256)})"),
        ("Faults", faults),
        ("Seed", plain(summary.seed)),
        ("Versions", plain(summary.versions)),
    ]


def _results(summary: CampaignFile) -> Pairs:
    def near(key: str, unit: str) -> str:
        worst: Worst | None = getattr(summary, key)
        if worst is None:
            return NOTHING
        return f"{power(worst.value, 3)} {unit}, bound {power(worst.bound, 3)} (run {worst.run})"

    return [
        ("Runs", number(summary.runs, 0)),
        ("Runs in which a fault struck", number(summary.faults, 0)),
        ("Of these with an interlock", number(summary.detections, 0)),
        ("How runs ended", plain(summary.outcomes)),
        ("Spot nearest to its bound", near("worst_excess", "particles too many")),
        ("Field nearest to its bound", near("worst_excess_field", "particles too many")),
        ("Beam off nearest to its bound", near("worst_beam_off", "us")),
    ]


def _invariants(summary: CampaignFile) -> Table:
    rows: list[tuple[str, ...]] = [
        (name.replace("_", " "), number(n, 0)) for name, n in summary.violations.items()
    ]
    return Table(("Invariant", "Runs that violate it"), (0,), rows)


def _failures(summary: CampaignFile) -> Table | None:
    """Errors of the program, which are none of what failed in the room."""
    if not summary.failures:
        return None
    rows: list[tuple[str, ...]] = [
        (plain(one.error), number(one.runs, 0), number(one.first, 0)) for one in summary.failures[:50]
    ]
    return Table(("Error", "Runs", "First run"), (0,), rows)


def _violating(summary: CampaignFile) -> Table | None:
    if not summary.violating_runs:
        return None
    rows: list[tuple[str, ...]] = [
        (plain(row.run), plain(row.invariants).replace("_", " "), plain(row.remarks))
        for row in summary.violating_runs[:200]
    ]
    return Table(("Run", "Invariant", "What did not hold"), (1, 2), rows)


def kind_table(summary: CampaignFile) -> Table:
    """Make the table of faults: one row per kind, or pair of kinds."""
    heads = (
        "Fault", "Struck", "With an interlock", "First interlock", "After, median (us)", "Longest (us)",
        "Beam off, longest (us)", "Most particles too many in a spot", "Bound", "Misplaced at most",
        "Violations",
    )  # fmt: skip
    return Table(heads, (0, 3), [_kind_row(name, kind) for name, kind in summary.kinds.items()])


def _kind_row(name: str, kind: KindFigures) -> tuple[str, ...]:
    by = ", ".join(f"{cause} {n}" for cause, n in kind.by.items())
    delay, excess, off = kind.detection_us, kind.worst_excess, kind.worst_beam_off
    return (
        name,
        number(kind.struck, 0),
        number(kind.detected, 0),
        by or NOTHING,
        NOTHING if delay.median is None else number(delay.median, 0),
        NOTHING if delay.largest is None else number(delay.largest, 0),
        NOTHING if off is None else number(off.value, 0),
        NOTHING if excess is None else power(excess.value, 3),
        NOTHING if excess is None else power(excess.bound, 3),
        NOTHING if kind.worst_misplaced is None else power(kind.worst_misplaced, 3),
        number(sum(kind.violations.values()), 0),
    )


def _pictures(rows: Sequence[Row]) -> list[Picture]:
    from markupsafe import Markup

    from spotline.faces.report import campaign_figures as figures
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.svg import to_svg

    struck = sum(row.struck for row in rows)
    found = sum(bool(row.detected_by) for row in rows if row.struck)
    pictures = (
        (
            figures.figure_delays,
            "How soon faults are found",
            (
                "A line for each run, from the begin of the first of its faults. At the right: runs in which "
                "a fault struck and no interlock came."
            ),
            f"{found} of {struck} faults were found",
        ),
        (
            figures.figure_matrix,
            "Which interlock finds which fault",
            "The area of a square goes with the part of the runs in which this interlock came first.",
            "squares for each kind of fault and each interlock",
        ),
        (
            figures.figure_excess,
            "Particles too many, against the bound",
            (
                "A point for each run; above the dashed line the invariant is violated. Linear below 10 000 "
                "particles."
            ),
            "points below the line of the bound, unless an invariant is violated",
        ),
        (
            figures.figure_beam_off,
            "How soon the beam is off",
            (
                "Worst spill of each run with an interlock. Dashed: the bound of 500 us; where the chopper "
                "itself fails it is that of the second path."
            ),
            "histogram of the beam-off delay",
        ),
    )
    return [
        Picture(title, caption, alt, Markup(to_svg(draw(rows), f"campaign-{index}")))
        for index, (draw, title, caption, alt) in enumerate(pictures)
    ]
