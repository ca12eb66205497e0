"""A beam that is too wide: records see it, their dose follows it, and a line that asks for it stops."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline import Fault, load_beamline, shipped_beamlines
from spotline.control import interlocks
from spotline.dose.engine.beams import LayerBeam, beams_of_record, measured_widths_mm
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import _behind
from spotline.plan import PassiveElement
from spotline.record.model import FieldRecord
from spotline.record.prescribed import prescribed_spots
from spotline.record.spill_file import read_control, read_spill
from spotline.room import boards_sha256
from spotline.units import FWHM_PER_SIGMA
from tests.delivery.deliveries import causes, deliver, deliver_field
from tests.lines.facts import with_facts
from tests.treatment.plans import field, layer, plan_of, square

WIDER = 1.3
WIDE = (Fault(device="beam", mode="wide", value=WIDER, at_us=-1_000_000),)
PLAN = plan_of(field(square(3, 4.0, 1e6), layer([0.0, 9.0], 0.0, 1e6, index=1, energy_MeV_u=218.92)))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> FieldRecord:
    """Two layers with a beam that is too wide."""
    line = load_beamline("cnao-h")
    return deliver_field(PLAN, line, tmp_path_factory.mktemp("wide") / "out", seed=2, faults=WIDE)


def test_the_record_sees_it(wide: FieldRecord):
    truth, spots = wide.truth, wide.spots
    assert truth is not None
    assert spots["width_valid"].all()
    for plane in "xy":
        sigma, error = f"sigma_{plane}_mm", f"sigma_error_{plane}_mm"
        assert np.all(np.abs(spots[sigma] - truth[sigma]) < 5.0 * spots[error] + 0.01 * truth[sigma])
        expected_mm = wide.slices[f"fwhm_{plane}_mm"] / FWHM_PER_SIGMA
        assert np.all(wide.slices[sigma] > 1.2 * expected_mm)
        np.testing.assert_allclose(wide.slices[sigma][0], np.mean(truth[sigma][:9]), rtol=0.01)
        # Of a slice: the mean weighted by the uncertainties of its spots, and that of the mean.
        for row, here in ((0, spots["slice"] == 0), (1, spots["slice"] == 1)):
            weights = 1.0 / np.square(spots[error][here])
            assert len(set(weights.tolist())) > 1
            mean = float(np.average(spots[sigma][here], weights=weights))
            assert wide.slices[sigma][row] == pytest.approx(mean, rel=1e-6)
            assert wide.slices[error][row] == pytest.approx(1.0 / np.sqrt(weights.sum()), rel=1e-6)


def test_prescribed_spots_have_it(wide: FieldRecord):
    table = prescribed_spots(wide)
    assert table["width_valid"].all()
    assert sorted(table["sigma_x_mm"]) == pytest.approx(sorted(wide.spots["sigma_x_mm"]), rel=1e-12)


def layers_of(wide: FieldRecord, what: str, **options: str) -> list[LayerBeam]:
    return list(beams_of_record(wide, what, **options).layers)  # type: ignore[arg-type]


def test_its_dose_follows_the_true_one(wide: FieldRecord):
    """What the engine is given: with measured widths that of the truth, with planned ones a narrower beam."""
    true, measured = layers_of(wide, "true"), layers_of(wide, "measured")
    planned = layers_of(wide, "measured", widths="planned")
    for k, one in enumerate(true):
        np.testing.assert_allclose(measured[k].spots.sigma_x_mm, one.spots.sigma_x_mm.mean(), rtol=0.05)
        assert np.ptp(measured[k].spots.sigma_x_mm) == 0.0, "one beam"
        assert np.all(planned[k].spots.sigma_x_mm < 0.85 * one.spots.sigma_x_mm)


def test_each_spill_has_its_own_width():
    sigma_mm = np.array([2.0, 2.2, np.nan, 4.0, np.nan])
    error_mm = np.array([0.1, 0.1, np.nan, 0.1, np.nan])
    spill = np.array([3, 3, 3, 4, 5])
    found = measured_widths_mm(sigma_mm, error_mm, spill, np.full(5, 1.0))
    of_slice = np.mean([2.0, 2.2, 4.0])
    assert found == pytest.approx([2.1, 2.1, 2.1, 4.0, of_slice], rel=1e-12)
    nothing = np.full(2, np.nan)
    assert measured_widths_mm(nothing, nothing, np.array([1, 1]), np.array([1.5, 1.5])).tolist() == [1.5, 1.5]
    empty = np.zeros(0)
    assert len(measured_widths_mm(empty, empty, np.zeros(0, int), empty)) == 0


def test_behind_a_range_shifter_it_is_wider_too():
    spots = Spots(np.zeros(2), np.zeros(2), np.ones(2), np.array([3.0, 5.0]), np.array([4.0, 4.0]))
    found = _behind(spots, (6.0, 7.0), (3.0, 4.0))
    assert found.sigma_x_mm == pytest.approx([6.0, np.sqrt(36.0 + 16.0)])
    assert found.sigma_y_mm == pytest.approx([7.0, 7.0])
    assert _behind(spots, (6.0, 7.0), None).sigma_x_mm.tolist() == [6.0, 6.0]


def test_no_shipped_line_stops_for_it(wide: FieldRecord):
    assert all(load_beamline(name).facts.fast_interlocks.width_ratio is None for name in shipped_beamlines())
    assert wide.outcome.status == "complete"
    assert not len(wide.interlocks)


def test_a_line_that_asks_for_it_stops(tmp_path: Path):
    limits = {"fast_interlocks.width_ratio": 0.2, "fast_interlocks.width_counts": 1000}
    line = with_facts(load_beamline("cnao-h"), limits)
    good = deliver(PLAN, line, tmp_path / "good", seed=2)
    assert good.summary["status"] == "complete"
    stopped = deliver(PLAN, line, tmp_path / "stopped", seed=2, faults=WIDE)
    assert causes(stopped) == [("width x", "stop"), ("width y", "stop")]
    row = stopped.fields[0].interlocks[0]
    assert row["cause"] == interlocks.WIDTH_X
    assert row["value"] == pytest.approx(WIDER - 1.0, abs=0.08)
    assert row["limit"] == 0.2


def test_spill_files_say_what_the_boards_held(wide: FieldRecord):
    path = wide.path / "spills" / "spill-0001.h5"
    settings, memory = read_control(path)
    assert read_spill(path).header.boards_sha256 == boards_sha256(settings, memory)
    assert memory.x_sd_mm == pytest.approx(float(wide.slices["fwhm_box_x_mm"][0]) / FWHM_PER_SIGMA, rel=1e-12)
    with h5py.File(path) as file:
        assert file.attrs["version"] == 3


def test_what_is_mounted_is_told(tmp_path: Path):
    line = load_beamline("cnao-h")
    filters = line.facts.passive_elements.range_modulators
    passive = (
        *(PassiveElement(kind="range_modulator", id=name) for name in filters),
        PassiveElement(kind="range_shifter", id="RW3-20mm"),
    )
    plan = plan_of(field(layer([0.0], 0.0, 1e6), passive=passive))
    record = deliver_field(plan, line, tmp_path / "out", seed=1)
    found = {
        one.name: (one.kind, one.material, one.thickness_mm, one.water_equivalent_mm)
        for one in record.facts.mounted_elements
    }
    expected = {name: ("range_modulator", "water", mm, mm) for name, mm in filters.items()}
    assert found == expected | {"RW3-20mm": ("range_shifter", "RW3", 20.0, 20.96)}
