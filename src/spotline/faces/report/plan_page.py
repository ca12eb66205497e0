"""A plan as one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spotline.faces.report import plan_tables
from spotline.faces.report.page import check_new, render, write_page
from spotline.faces.report.plan_tables import PAGE
from spotline.faces.report.tables import Pairs, Table
from spotline.planning.overview import FieldOverview, PlanOverview
from spotline.wording import layers_named, several

if TYPE_CHECKING:
    from spotline.faces.report.pictures import Picture

TEMPLATE = "plan.html.j2"
PATH = " The line is the delivery path of the first painting, from the dot on; dashed where the beam is off."


def write_plan_page(view: PlanOverview, path: Path) -> None:
    """Write what is in a plan as an HTML page, with spot maps.

    Parameters
    ----------
    view : PlanOverview
        What `spotline.planning.overview.plan_overview` found.
    path : Path
        New file; its folder must exist.

    Raises
    ------
    spotline.errors.OutputError
        If the file exists already or cannot be written.
    """
    check_new(path)
    html = render(
        TEMPLATE,
        title=plan_tables.title_of(view),
        facts=plan_tables.plan_facts(view),
        overview=plan_tables.field_table(view, PAGE),
        fields=[_field_view(view, field) for field in view.fields],
    )
    write_page(html, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """What the template shows of one field; `id` is where links lead to."""

    id: str
    number: int
    name: str
    status: tuple[str, str] | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: Pairs
    totals: Pairs
    energies: list[Picture]
    layers: Table
    slices: Table | None
    maps: list[Picture]
    other_maps: list[Picture]


def _field_view(view: PlanOverview, field: FieldOverview) -> FieldView:
    from spotline.faces.report import plan_figures

    first, *others = plan_figures.map_groups(field)
    return FieldView(
        id=f"field-{field.field.number}",
        number=field.field.number,
        name=field.field.name,
        status=plan_tables.status_of(view, field),
        problems=field.problems,
        warnings=field.warnings,
        facts=plan_tables.field_facts(field),
        totals=plan_tables.totals(field, PAGE),
        energies=[_energies(field)],
        layers=plan_tables.layer_table(field, PAGE),
        slices=plan_tables.slice_table(field, PAGE) if field.slices else None,
        maps=[_maps(field, first)],
        other_maps=[_maps(field, group) for group in others],
    )


def _energies(field: FieldOverview) -> Picture:
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.plan_figures import figure_energies

    layers = field.layers
    strongest = max(layers, key=lambda layer: layer.meterset)
    title = "Energies"
    caption = "Left: how much each energy gets. Right: in how many spots. Layers of one energy are added up."
    alt = f"{len(layers)} layers; layer {strongest.index} ({strongest.energy_MeV_u:g} MeV/u) gets most"
    return Picture(title, caption, alt, _svg(field, "energies", figure_energies(field)))


def _maps(field: FieldOverview, indices: list[int]) -> Picture:
    """Draw the layers of one picture; none are named if they all go into one map."""
    from spotline.faces.report.pictures import Picture
    from spotline.faces.report.plan_figures import figure_maps, figure_one_map

    if not indices:
        caption = "All layers, of one spot each, in one map."
        alt = f"map of the spots of {len(field.layers)} layers"
        return Picture("All layers", caption, alt, _svg(field, "maps", figure_one_map(field)))
    caption = (
        "The area of a spot goes with its weight; the strongest of each layer is as wide as the spacing, but "
        "at most 10 mm. Above each map: energy, number of spots, and the strongest one."
        + (PATH if field.instructions else "")
    )
    title = f"{layers_named(indices).capitalize()}"
    alt = f"maps of the spots in {several(len(indices), 'layer')}"
    return Picture(title, caption, alt, _svg(field, f"maps{indices[0]}", figure_maps(field, indices)))


def _svg(field: FieldOverview, name: str, figure: Any) -> Any:
    from markupsafe import Markup

    from spotline.faces.report.svg import to_svg

    return Markup(to_svg(figure, f"f{field.field.number}-{name}"))
