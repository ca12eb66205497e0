"""The report of a delivery as one HTML file.

The file holds everything: style sheet, tables and pictures (inline SVG).  It loads nothing, runs no
script, and says nothing that is not in the record, so a record gives the same report every time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spotline.faces.report import tables
from spotline.faces.report.page import render, replace_page
from spotline.record.model import FieldRecord, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spotline.faces.report.pictures import Picture

TEMPLATE = "report.html.j2"


def write_report(record: Record, path: Path) -> None:
    """Write the report of a delivery.

    Parameters
    ----------
    record : Record
        What was delivered.
    path : Path
        HTML file to write; one that exists is replaced.

    Raises
    ------
    spotline.errors.OutputError
        If the file cannot be written.
    """
    html = render(
        TEMPLATE,
        title=tables.label_of(record),
        status=tables.status_of_record(record),
        facts=tables.provenance(record),
        overview=tables.overview(record),
        fields=[_field_view(field) for field in record.fields],
        summary=json.dumps(record.summary, indent=2, default=str, ensure_ascii=False),
    )
    replace_page(html, path)


def figure_overview(record: Record) -> Figure:
    """Return one picture of a delivery: energy and intensity, one spot map, histograms.

    It shows the first field in which spots were delivered, and is meant to be saved with 100 dots per
    inch (1200 x 700 pixels).
    """
    from spotline.faces.report import figures

    return figures.figure_overview(record)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """What the template shows of one field; `id` is where links lead to."""

    id: str
    number: int
    name: str
    status: tuple[str, str]
    facts: tables.Pairs
    warnings: tuple[str, ...]
    figures_of_merit: tables.Pairs
    interlocks: tables.Table
    slices: tables.Table
    time: list[Picture]
    spots: list[Picture]
    maps: list[Picture]
    other_maps: list[Picture]
    machine: list[Picture]
    truth: list[Picture]


def _field_view(field: FieldRecord) -> FieldView:
    from spotline.faces.report import pictures

    return FieldView(
        id=f"field-{field.number}",
        number=field.number,
        name=field.name,
        status=tables.status_of(field),
        facts=tables.facts(field),
        warnings=field.facts.warnings,
        figures_of_merit=tables.figures_of_merit(field),
        interlocks=tables.interlock_table(field),
        slices=tables.slice_table(field),
        time=pictures.of_time(field),
        spots=pictures.of_spots(field),
        maps=pictures.of_slices(field),
        other_maps=pictures.of_other_slices(field),
        machine=pictures.of_machine(field),
        truth=pictures.of_truth(field),
    )
