"""The overview of a plan on a terminal, or in a pipe."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from spotline.faces.report import plan_tables
from spotline.faces.report.plan_tables import TERMINAL
from spotline.faces.report.tables import Pairs, Table
from spotline.planning.overview import FieldOverview, PlanOverview

WIDE = 10_000
"""Columns of a console that neither breaks a line nor shortens a cell."""


def print_overview(view: PlanOverview) -> None:
    """Print an overview to the standard output.

    Tables keep their width: where a terminal is too narrow it breaks their lines, and nothing is cut.
    Names that the output has no letters for are printed with question marks.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    console = Console(width=WIDE, highlight=False, markup=False, emoji=False)
    console.print(Text(_clean(plan_tables.title_of(view)), style="bold"))
    _print_pairs(console, plan_tables.plan_facts(view))
    if len(view.fields) > 1:
        _print_table(console, "", plan_tables.field_table(view, TERMINAL))
    for field in view.fields:
        _print_field(console, view, field)


def _print_field(console: Console, view: PlanOverview, field: FieldOverview) -> None:
    console.print(Text(f"\nfield {field.field.number}: {_clean(field.field.name)}", style="bold"))
    _print_pairs(console, plan_tables.field_facts(field) + plan_tables.totals(field, TERMINAL))
    status = plan_tables.status_of(view, field)
    if status is not None:
        text, kind = status
        console.print(Text(f"  {text}", style={"good": "green", "bad": "bold red"}[kind]))
    for problem in field.problems:
        console.print(Text(f"  problem: {_clean(problem)}", style="red"))
    for warning in field.warnings:
        console.print(Text(f"  warning: {_clean(warning)}", style="yellow"))
    _print_table(console, "layers", plan_tables.layer_table(field, TERMINAL))
    if field.slices:
        _print_table(console, "slices", plan_tables.slice_table(field, TERMINAL))


def _print_pairs(console: Console, pairs: Pairs) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        console.print(Text.assemble((f"  {_small(name):{width}}  ", "dim"), _clean(value)))


def _print_table(console: Console, title: str, table: Table) -> None:
    shown = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, show_edge=False)
    for index, head in enumerate(table.heads):
        # Heads may stand in several lines, numbers and words may not.
        lines = _small(head).replace(" (", "\n(").replace(" spot", "\nspot").replace(" jumps", "\njumps")
        shown.add_column(lines, justify="left" if index in table.text else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(Text(_clean(cell)) for cell in row))
    if title:
        console.print(Text(f"\n  {title}", style="bold"))
    else:
        console.print(Text(""))
    console.print(shown)


def _small(name: str) -> str:
    """Begin a name with a small letter, unless it is a unit or an abbreviation."""
    return name if name.startswith("MeV") or name[1:2].isupper() else name[:1].lower() + name[1:]


def _clean(text: str) -> str:
    """Leave out what a terminal might take for a command, and line ends."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
