"""Doses of plans and records: what agrees, and what differs when a fault is injected."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import Reconstruction, reconstruct
from spotline.dose.grid import Grid
from spotline.dose.rbe import rbe_model
from spotline.errors import DoseError
from spotline.physics.ions import PROTON
from spotline.record.model import Record
from tests.delivery.deliveries import EXAMPLES
from tests.dose.engine.entries import made_up_library

LINE = spotline.load_beamline("cnao-h")
LIBRARIES = {"proton": made_up_library(PROTON, [60.0, 100.0, 150.0, 230.0])}


@pytest.fixture(scope="module")
def treatment() -> spotline.Treatment:
    return spotline.prepare(spotline.read_plan(EXAMPLES / "three_layers_proton.dcm"), LINE)


@pytest.fixture(scope="module")
def water(treatment: spotline.Treatment) -> Patient:
    return spotline.water_phantom(treatment, 80.0, 4.0)


@pytest.fixture(scope="module")
def done(record: Record, water: Patient) -> Reconstruction:
    return reconstruct(record, LINE, water, water.grid, libraries=LIBRARIES)


def test_a_delivery_without_fault_is_its_plan(done: Reconstruction):
    planned, measured, true = (done.doses[what].physical.dose_Gy for what in ("planned", "measured", "true"))
    assert planned.max() > 0.0
    for dose in (measured, true):
        assert np.abs(dose - planned).max() < 0.01 * planned.max()
        assert not np.array_equal(dose, planned)


def test_a_plan_has_the_dose_that_its_record_calls_planned(
    treatment: spotline.Treatment, water: Patient, done: Reconstruction
):
    found = reconstruct(treatment, LINE, water, water.grid, libraries=LIBRARIES)
    np.testing.assert_allclose(
        found.doses["planned"].physical.dose_Gy, done.doses["planned"].physical.dose_Gy, rtol=1e-6
    )


def test_an_old_library_has_another_letd_and_a_note_says_so(
    treatment: spotline.Treatment, water: Patient, done: Reconstruction
):
    """What models want is taken where there is any; else it is said that there is none."""
    assert done.letd_of == {"proton": "hydrogen"}
    assert not any("LETd" in note for note in done.notes)
    library = LIBRARIES["proton"]
    arrays, header = library.arrays, library.header | {"letd_groups": ["charged"]}
    old = replace(
        library,
        header=header,
        arrays=arrays._replace(
            letd_keV_um=1.5 * arrays.letd_keV_um[:, 2:], letd_share=arrays.letd_share[:, 2:]
        ),
    )
    found = reconstruct(
        treatment, LINE, water, water.grid, libraries={"proton": old}, rbe=rbe_model("wedenberg", 2.0)
    )
    assert found.letd_of == {"proton": "charged"}
    (note,) = found.notes
    assert "has LETd of all charged particles only, as older ones do, and not of hydrogen nuclei" in note
    has = found.doses["planned"].letd_keV_um > 0.0
    np.testing.assert_allclose(
        found.doses["planned"].letd_keV_um[has], 1.5 * done.doses["planned"].letd_keV_um[has], rtol=1e-4
    )


def on_another_day(record: Record) -> Record:
    (field,) = record.fields
    return replace(
        record, fields=(replace(field, header={**field.header, "started": "2027-03-02T12:00:00"}),)
    )


def test_fractions_add_up(record: Record, water: Patient, done: Reconstruction):
    twice = reconstruct([record, on_another_day(record)], LINE, water, water.grid, libraries=LIBRARIES)
    assert twice.fractions == 2
    for what, dose in twice.doses.items():
        np.testing.assert_allclose(
            dose.physical.dose_Gy, 2.0 * done.doses[what].physical.dose_Gy, rtol=1e-5, atol=1e-7
        )
        assert dose.particles == pytest.approx(2.0 * done.doses[what].particles)


def test_rbe_is_applied_to_sums(record: Record, water: Patient, done: Reconstruction):
    constant = reconstruct(
        record, LINE, water, water.grid, of=["measured"], libraries=LIBRARIES, rbe=rbe_model("constant")
    )
    effective = constant.doses["measured"].effective
    assert effective is not None
    assert effective.kind == "effective"
    np.testing.assert_allclose(
        effective.dose_Gy, 1.1 * done.doses["measured"].physical.dose_Gy, rtol=1e-5, atol=1e-9
    )
    # With a shoulder, two fractions have more effect than one of as much dose.
    model = rbe_model("wedenberg", 2.0)
    once, twice = (
        reconstruct(records, LINE, water, water.grid, of=["planned"], libraries=LIBRARIES, rbe=model).doses[
            "planned"
        ]
        for records in ([record], [record, on_another_day(record)])
    )
    assert once.effective is not None
    assert twice.effective is not None
    assert np.all(np.isfinite(twice.effective.dose_Gy))
    np.testing.assert_allclose(twice.effective.dose_Gy, 2.0 * once.effective.dose_Gy, rtol=1e-4, atol=1e-6)


def test_letd_is_that_of_the_library_where_there_is_dose(done: Reconstruction):
    dose = done.doses["planned"]
    has = dose.physical.dose_Gy > 0.1 * dose.physical.dose_Gy.max()
    assert 1.0 < dose.letd_keV_um[has].min() <= dose.letd_keV_um[has].max() < 2.3
    assert dose.letd_keV_um[dose.physical.dose_Gy == 0.0].max(initial=0.0) == 0.0


def test_doses_of_fields_are_the_dose(record: Record, water: Patient, done: Reconstruction):
    second = replace(record, fields=(replace(record.fields[0], number=2),))
    found = reconstruct(
        [record, second], LINE, water, water.grid, of=["measured"], libraries=LIBRARIES, per_field=True
    )
    fields = found.doses["measured"].fields
    assert sorted(fields) == [1, 2]
    for number, dose in fields.items():
        assert dose.beam_number == number
        np.testing.assert_allclose(
            dose.dose_Gy, done.doses["measured"].physical.dose_Gy, rtol=1e-5, atol=1e-7
        )
    only = reconstruct(
        [record, second], LINE, water, water.grid, of=["measured"], libraries=LIBRARIES, fields=[2]
    )
    np.testing.assert_allclose(
        only.doses["measured"].physical.dose_Gy, done.doses["measured"].physical.dose_Gy, rtol=1e-5
    )


def test_beam_that_is_beside_moves_the_dose(treatment: spotline.Treatment, record: Record, water: Patient):
    """Positions measured 3 mm off move the measured dose by 3 mm, and not the planned one."""
    field = record.fields[0]
    spots = field.spots.copy()
    spots["x_mm"] += 3.0
    moved = replace(record, fields=(replace(field, spots=spots),))
    found = reconstruct(moved, LINE, water, water.grid, of=["planned", "measured"], libraries=LIBRARIES)

    def centre_mm(what: str) -> np.ndarray:
        dose = found.doses[what].physical  # type: ignore[index]
        axes = (dose.grid.x_mm, dose.grid.y_mm, dose.grid.z_mm)
        total = dose.dose_Gy.sum(dtype=float)
        sums = [
            dose.dose_Gy.sum(axis=tuple(k for k in range(3) if k != 2 - a), dtype=float) for a in range(3)
        ]
        return np.array([float(s @ axis) / total for s, axis in zip(sums, axes, strict=True)])

    # Gantry 90: x of the beam is -z of the room, which is y of the patient.
    shift = centre_mm("measured") - centre_mm("planned")
    assert abs(shift[1]) == pytest.approx(3.0, abs=0.15)
    assert abs(shift[[0, 2]]).max() < 0.1


def test_a_leak_of_gas_gives_more_than_is_measured(
    treatment: spotline.Treatment, water: Patient, done: Reconstruction, tmp_path: Path
):
    """Counts fall with the pressure, until after a percent the treatment is stopped, and dose rises."""
    faults = spotline.read_faults(EXAMPLES.parent / "faults" / "gas-leak.toml")
    record = spotline.deliver(treatment, tmp_path / "record", documents=False, faults=faults)
    found = reconstruct(record, LINE, water, water.grid, libraries=LIBRARIES)
    assert any("not delivered whole (interlock; " in note for note in found.notes)

    def integral(of: Reconstruction, what: str) -> float:
        return float(of.doses[what].physical.dose_Gy.sum(dtype=float))  # type: ignore[index]

    assert 0.1 < integral(found, "measured") / integral(found, "planned") < 0.9
    excess, usual = (integral(of, "true") / integral(of, "measured") for of in (found, done))
    assert 1.002 < excess / usual < 1.01


def test_progress_and_threads(record: Record, water: Patient, done: Reconstruction):
    steps: list[tuple[int, int]] = []
    found = reconstruct(
        record, LINE, water, water.grid, libraries=LIBRARIES, threads=1,
        progress=lambda d, t: steps.append((d, t)),
    )  # fmt: skip
    assert steps == [(n, 9) for n in range(1, 10)]
    np.testing.assert_array_equal(found.doses["true"].physical.dose_Gy, done.doses["true"].physical.dose_Gy)


def test_a_grid_beside_the_patient_is_refused(record: Record, water: Patient):
    with pytest.raises(DoseError, match="overlaps"):
        reconstruct(record, LINE, water, Grid((900.0, 0.0, 0.0), (2.0,) * 3, (3, 3, 3)), libraries=LIBRARIES)


def test_a_record_that_is_open_needs_its_files_no_more(
    record: Record, water: Patient, done: Reconstruction, tmp_path: Path
):
    shutil.copytree(record.path, tmp_path / "record")
    opened = spotline.open_record(tmp_path / "record")
    shutil.rmtree(tmp_path / "record")
    found = reconstruct(opened, LINE, water, water.grid, libraries=LIBRARIES)
    for what, dose in found.doses.items():
        np.testing.assert_array_equal(dose.physical.dose_Gy, done.doses[what].physical.dose_Gy)
