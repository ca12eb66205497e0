"""The page of a plan: whole, self-contained, and safe whatever the plan is called."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection

import spotline
from spotline.errors import OutputError
from spotline.faces.report.plan_figures import figure_energies, figure_maps, map_groups
from spotline.faces.report.plan_page import PATH, write_plan_page
from spotline.plan import Plan
from spotline.planning.overview import plan_overview
from spotline.planning.read import read_plan
from tests.faces.report.pages import HOSTILE, Page, read_page
from tests.places import EXAMPLES
from tests.treatment.plans import field, layer, plan_of, square


def page_of(plan: Plan, folder: Path, beamline: str | None = None) -> tuple[str, Page, str]:
    """Write a page; return the HTML, what the parser found, and the text on one line."""
    path = folder / "plan.html"
    line = None if beamline is None else spotline.load_beamline(beamline)
    write_plan_page(plan_overview(plan, line), path)
    return read_page(path)


def many_layers(number: int, **more: object) -> spotline.Field:
    return field(*(square(3, 2.0, 5e4, index=i, energy_MeV_u=200.0 - i) for i in range(number)), **more)


def test_example(tmp_path: Path):
    html, page, text = page_of(read_plan(EXAMPLES / "uniform_carbon_60mm.dcm"), tmp_path, "cnao-h")
    assert "✔ Can be delivered on cnao-h" in text
    for words in ("UNIFORM60", "WATER_PHANTOM", "221.45", "Expected treatment", "focus small", "Layer 0"):
        assert words in text
    assert page.tags.count("svg") == 2
    assert not {"script", "link", "iframe"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith(("#", "data:image/png;base64,")), f"{name} leads out of the page"
    assert "url(http" not in html.replace(" ", "")
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_same_plan_same_page(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    plan = plan_of(many_layers(3))
    assert page_of(plan, tmp_path / "one")[0] == page_of(plan, tmp_path / "two")[0]


def test_problems_and_warnings(tmp_path: Path):
    plan = plan_of(field(layer(tune_id="F1")), field(layer(150.0), number=2, gantry_angle_deg=0.0))
    _, _, text = page_of(plan, tmp_path, "cnao-h")
    assert "✔ Can be delivered on cnao-h" in text
    assert "'F1' is not a focus of cnao-h" in text
    assert "✖ Cannot be delivered on cnao-h: 2 reasons" in text
    assert "GantryAngle is 0 deg" in text


def test_many_layers_go_into_pictures_of_twelve(tmp_path: Path):
    _, page, text = page_of(plan_of(many_layers(30)), tmp_path)
    assert page.tags.count("svg") == 1 + 3
    for words in ("Layers 0-11", "The other layers", "Layers 12-23", "Layers 24-29"):
        assert words in text


def test_single_spots_share_one_map(tmp_path: Path):
    _, page, text = page_of(read_plan(EXAMPLES / "axis_proton.dcm"), tmp_path)
    assert page.tags.count("svg") == 2
    assert "All layers, of one spot each" in text


def test_groups_of_maps():
    (few,) = plan_overview(plan_of(field(layer(), layer(index=1, energy_MeV_u=100.0)))).fields
    assert map_groups(few) == [[0, 1]]
    (many,) = plan_overview(plan_of(many_layers(25))).fields
    assert [len(group) for group in map_groups(many)] == [12, 12, 1]


def test_layers_of_one_energy_are_added_up():
    one_energy = [square(2, 2.0, 5e4 * (i + 1), index=i, energy_MeV_u=200.0) for i in range(3)]
    (found,) = plan_overview(plan_of(field(*one_energy, layer(index=3, energy_MeV_u=190.0)))).fields
    left, right = figure_energies(found).axes
    assert [bar.get_height() for bar in left.patches] == [5e4, 1.2e6]
    assert [bar.get_height() for bar in right.patches] == [1, 12]


def test_names_of_any_kind(tmp_path: Path):
    plan = dataclasses.replace(
        plan_of(field(layer(tune_id=HOSTILE), name=HOSTILE, machine=HOSTILE)),
        label=HOSTILE,
        identity={"PatientName": HOSTILE, "TRiP98machine": HOSTILE},
    )
    html, page, text = page_of(plan, tmp_path, "cnao-h")
    assert "<script" not in html
    assert "script" not in page.tags
    assert "{{ 7*7 }}" in text


@pytest.mark.parametrize("weights", [[1e-3, 1e12], [5e4, 5e4]])
def test_weights_of_any_size(weights: list[float], tmp_path: Path):
    _, page, _ = page_of(plan_of(field(layer([0.0, 0.5], 0.0, np.array(weights)))), tmp_path)
    assert page.tags.count("svg") == 2


def test_places_that_cannot_be_written(tmp_path: Path):
    view = plan_overview(plan_of(field()))
    path = tmp_path / "plan.html"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_plan_page(view, path)
    assert path.read_text() == "precious"
    with pytest.raises(OutputError, match="no folder"):
        write_plan_page(view, tmp_path / "no" / "plan.html")


def test_delivery_path_is_drawn(tmp_path: Path):
    """Two moves with the beam on, one without, and where the path begins; none without a beam line."""
    plan = plan_of(field(layer([0.0, 2.0, 30.0, 32.0], 0.0, 1e5)))
    view = plan_overview(plan, spotline.load_beamline("cnao-h"))
    (axes,) = figure_maps(view.fields[0], [0]).axes
    on, off = (c for c in axes.collections if isinstance(c, LineCollection))
    assert (len(on.get_segments()), len(off.get_segments())) == (2, 1)
    assert sorted(off.get_segments()[0][:, 0]) == [2.0, 30.0]
    assert PATH.strip() in page_of(plan, tmp_path, "cnao-h")[2]
    (axes,) = figure_maps(plan_overview(plan, None).fields[0], [0]).axes
    assert not [c for c in axes.collections if isinstance(c, LineCollection)]
