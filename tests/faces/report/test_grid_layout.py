"""Panels stand where their texts have room: nothing is cut off, and no panel stands in another's."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spotline.dose.grid import Grid
from spotline.faces.report import dose_figures, figures, library_figures, machine_figures, plan_figures
from spotline.faces.report.grid_layout import GridLayout
from spotline.faces.report.style import STYLE, sheet, styled
from spotline.machine import load_beamline
from spotline.machine.library import load_library
from spotline.machine.library.overview import library_overview
from spotline.planning.overview import plan_overview
from spotline.planning.read import read_plan
from tests.faces.report import records
from tests.places import EXAMPLES


def outlines(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Panels with their texts, as matplotlib measures them: left, bottom, right, top in inches."""
    with mpl.rc_context(STYLE):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [
            axes.get_tightbbox(canvas.get_renderer(), for_layout_only=True)
            for axes in figure.axes
            if axes.get_visible()
        ]
    return [tuple((box.extents / figure.dpi).tolist()) for box in boxes if box is not None]


def check(figure: Figure) -> None:
    width, height = figure.get_size_inches()
    found = outlines(figure)
    assert found
    for left, bottom, right, top in found:
        assert min(left, bottom) >= -0.01
        assert right <= width + 0.01
        assert top <= height + 0.01
    own = [axes.get_subplotspec() for axes in figure.axes if axes.get_visible()]
    for (one, cell), (other, next_cell) in combinations(zip(found, own, strict=True), 2):
        if cell == next_cell:
            continue  # two scales of one panel
        apart = max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])
        assert apart >= -0.01


PICTURES = [
    figures.figure_energy_layers,
    figures.figure_spill,
    figures.figure_particles,
    figures.figure_positions,
    figures.figure_times,
    figures.figure_truth,
    machine_figures.figure_magnets,
    machine_figures.figure_ratio,
    machine_figures.figure_slow_control,
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.__name__)
def test_pictures_of_a_delivery(picture, tmp_path: Path):
    figure = picture(records.field(tmp_path))
    assert isinstance(figure.get_layout_engine(), GridLayout)
    check(figure)


def test_pictures_of_a_plan():
    view = plan_overview(read_plan(EXAMPLES / "three_layers_proton.dcm"), None)
    check(plan_figures.figure_energies(view.fields[0]))


@pytest.mark.parametrize("energy_MeV_u", [None, 398.84])
def test_pictures_of_a_library(energy_MeV_u: float | None):
    line = load_beamline("cnao-h")
    view = library_overview(load_library(line, "carbon"), line, energy_MeV_u)
    one = view.energies[0]
    check(library_figures.figure_all(view))
    check(library_figures.figure_depth_dose(one))
    check(library_figures.figure_lateral(one))
    check(library_figures.figure_fluence(one))


@pytest.mark.parametrize("shape", [(40, 40, 40), (10, 80, 40), (1, 40, 10)])
def test_pictures_of_a_dose(shape: tuple[int, int, int]):
    grid = Grid((-50.0, -50.0, -50.0), (2.5, 2.5, 2.5), shape)
    values = np.linspace(0.0, 2.0, shape[0] * shape[1] * shape[2]).reshape(shape)
    maps = [dose_figures.dose_map(name, values, 2.0) for name in ("planned", "measured", "true")]
    for shown in (maps[:1], maps, [*maps, dose_figures.gamma_map("gamma 2 %/2 mm", values)]):
        check(dose_figures.figure_planes(grid, shown, (0.0, 0.0, 0.0)))
    at = np.linspace(0.0, 3.0, 50)
    check(dose_figures.figure_volumes(at, {"TARGET": {"planned": 100.0 - 30.0 * at}}))


@styled
def long_labels() -> Figure:
    figure = sheet(3.0)
    left, right = figure.subplots(1, 2)
    left.set(ylabel="two\nlines", ylim=(0.0, 1e7), title="three\nlines\nhere")
    left.yaxis.set_major_formatter("{x:.3f}")
    right.yaxis.tick_right()
    right.yaxis.set_label_position("right")
    right.set_ylabel("at the right")
    right.tick_params(labelsize=14.0)
    right.xaxis.set_major_formatter("{x:.6f}")
    return figure


def test_long_labels_get_their_room():
    figure = long_labels()
    check(figure)
    (_, _, end, _), (begin, _, _, _) = outlines(figure)
    assert begin > end


def test_nothing_is_no_failure():
    figure = sheet(3.0)
    GridLayout().execute(figure)
    axes = figure.subplots()
    axes.set_visible(False)
    GridLayout().execute(figure)
    assert np.allclose(figure.get_size_inches(), (10.5, 3.0))
