"""Plans of other planning systems: delivered whole with their own figures, or refused for the true reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from spotline import BeamLine, Options, PlanError, load_beamline, prepare, read_plan
from tests.delivery.deliveries import deliver
from tests.lines.trip import write_trip_line
from tools.make_dcpt_line import read_beam_model


@pytest.fixture(scope="session")
def lines(shared_plans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, BeamLine]:
    folder = tmp_path_factory.mktemp("lines")
    paths = {
        "trip": write_trip_line(folder / "trip"),
    }
    return {name: load_beamline(paths.get(name, name)) for name in ("cnao-h", "cnao-v", "dcpt-like", "trip")}


def path_of(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


SOBP, MONO, RAMP = (
    f"dcpt/{name}_plan.dcm" for name in ("eclipse_sobp", "eclipse_mono160", "raystation_ramp_full")
)
HEAD = "headphantom/RN.*.dcm"
TRIP_CARBON, TRIP_PROTON = "trip98/tst003012.rst", "trip98/tst003001.rst"
CARBON_CUBE, PROTON_CUBE = (f"cubes/{ion}_cube_15cm_plan.dcm" for ion in ("carbon", "proton"))
TOPAS = "topas_demo_plan.dcm"

# Plan, beam line, and for each field the number of slices and of spots.
DELIVERED = [
    (SOBP, "dcpt-like", [(21, 6069)]),
    (MONO, "dcpt-like", [(1, 323)]),
    (RAMP, "dcpt-like", [(22, 9218), (22, 9218)]),
    (HEAD, "dcpt-like", [(24, 659), (19, 624), (19, 624)]),
    (TRIP_CARBON, "trip", [(17, 13243)]),
    (TRIP_PROTON, "trip", [(17, 5491)]),
    (TRIP_PROTON, "dcpt-like", [(17, 5491)]),
    (PROTON_CUBE, "trip", [(21, 8543)]),
    (CARBON_CUBE, "cnao-v", [(30, 19173)]),
]

NO_MU = "PrimaryDosimeterUnit is MU but {} has no particles_per_MU for proton"
NO_ENERGY = "has no such NominalBeamEnergy for"
FIXED_AT_90 = "GantryAngle is 0 deg but cnao-h is fixed at 90 deg: choose the beam line of that direction"
REFUSED = [
    (SOBP, "cnao-h", [FIXED_AT_90, NO_MU.format("cnao-h")]),
    (SOBP, "cnao-v", [NO_MU.format("cnao-v")]),
    (MONO, "cnao-h", [FIXED_AT_90, NO_MU.format("cnao-h")]),
    (MONO, "trip", [NO_MU.format("trip")]),
    (RAMP, "cnao-h", ["fields 1 (b1), 2 (b2) cannot", "field 2 (b2) cannot", NO_MU.format("cnao-h")]),
    (RAMP, "cnao-v", ["GantryAngle is 90 deg but cnao-v is fixed at 0 deg", NO_MU.format("cnao-v")]),
    (HEAD, "cnao-v", ["range shifter 'RS_5CM' is not among those of cnao-v (RW3-10mm, RW3-20mm, RW3-30mm)"]),
    (TRIP_CARBON, "dcpt-like", ["dcpt-like has no carbon beam (it has proton)"]),
    (
        TRIP_CARBON,
        "cnao-h",
        [
            "range modulator '3 mm RIFI' is not among those of cnao-h (RIFI1, RIFI2)",
            "1 range modulator:",
            "layers 0-16 (229.76, 233.42, 237.05, ",
            f"cnao-h {NO_ENERGY} carbon (its own reach from 115.23 to 398.84, worst is layer 0 with 229.76,",
        ],
    ),
    (TRIP_PROTON, "cnao-h", ["layers 0, 2, 4-16 (120.2, 123.99, ", f"cnao-h {NO_ENERGY} proton"]),
    (CARBON_CUBE, "cnao-h", [FIXED_AT_90]),
    (
        PROTON_CUBE,
        "cnao-v",
        ["layers 0-6, 8, 10, 12, 14, 16, 18, 20 (164.453, ", f"cnao-v {NO_ENERGY} proton"],
    ),
    (PROTON_CUBE, "dcpt-like", ["layers 0-20: 1465 spots of ScanSpotMetersetWeights with fewer than 1e+06"]),
    (
        TOPAS,
        "cnao-h",
        [
            "range shifter '40mm' is not among those of cnao-h",
            "block 'apt': cnao-h has no holder for it: plan without it",
            "layers 0-3, 5-10 (155.03, 152.34, ",
            f"cnao-h {NO_ENERGY} proton",
        ],
    ),
    (
        TOPAS,
        "dcpt-like",
        ["range shifter '40mm' is not among those of dcpt-like (RS_5CM, RS_3CM)", "block 'apt'"],
    ),
]


@pytest.mark.parametrize(
    ("pattern", "name", "fields"), DELIVERED, ids=[f"{p} on {n}" for p, n, _ in DELIVERED]
)
def test_delivered(
    pattern: str,
    name: str,
    fields: list[tuple[int, int]],
    lines: dict[str, BeamLine],
    shared_plans: Path,
    tmp_path: Path,
):
    plan = read_plan(path_of(shared_plans, pattern))
    record = deliver(plan, lines[name], tmp_path, seed=1)
    summary = record.summary
    assert summary["status"] == "complete"
    assert summary["interlocks"] == []
    assert [(len(f.slices), len(f.spots)) for f in record.fields] == fields
    assert summary["particles_delivered"] == pytest.approx(summary["particles_planned"], rel=0.005)
    for planned, field in zip(plan.fields, record.fields, strict=True):
        assert field.spots["complete"].all()
        # Every spot is where, and in the order in which, the plan has it.
        layers = [planned.layers[i] for i in field.spots["planned_layer"]]
        at = field.spots["planned_spot"]
        assert field.spots["x_planned_mm"].tolist() == [
            la.x_iso_mm[i] for la, i in zip(layers, at, strict=True)
        ]
        assert len({*zip(field.spots["planned_layer"].tolist(), at.tolist(), strict=True)}) == planned.n_spots
        # Energies are those of the plan, to the tolerance of the line.
        energies = field.slices["energy_MeV_u"][field.spots["slice"]]
        np.testing.assert_allclose(energies, [la.energy_MeV_u for la in layers], atol=0.15)
        # Spots of the carbon cube have ten counts and more, and each is off by up to one of them.
        assert np.median(np.abs(field.spots["particles"] / field.spots["particles_planned"] - 1.0)) < 0.01
        valid = field.spots["position_valid"]
        distance_mm = np.hypot(
            field.spots["x_mm"] - field.spots["x_planned_mm"],
            field.spots["y_mm"] - field.spots["y_planned_mm"],
        )
        assert valid.mean() > 0.5
        assert np.median(distance_mm[valid]) < 1.0


@pytest.mark.parametrize("pattern", [SOBP, MONO, RAMP, HEAD])
def test_monitor_units_become_particles_by_the_published_table(
    pattern: str, lines: dict[str, BeamLine], shared_plans: Path
):
    """MU of every spot times protons per MU at the energy of its layer, from the beam model."""
    plan = read_plan(path_of(shared_plans, pattern))
    model = read_beam_model(shared_plans / "dcpt" / "DCPT_beam_model__v2.csv")
    for field in prepare(plan, lines["dcpt-like"], options=Options(order="planned")).fields:
        expected = [
            layer.meterset * np.interp(layer.energy_MeV_u, model.nominal_MeV, model.per_MU)
            for layer in field.field.layers
        ]
        found = np.concatenate([s.particles for s in field.slices])
        np.testing.assert_allclose(found, np.concatenate(expected), rtol=2e-3)


@pytest.mark.stored
@pytest.mark.parametrize(("pattern", "name", "reasons"), REFUSED, ids=[f"{p} on {n}" for p, n, _ in REFUSED])
def test_refused(
    pattern: str,
    name: str,
    reasons: list[str],
    lines: dict[str, BeamLine],
    shared_plans: Path,
    tmp_path: Path,
):
    path = path_of(shared_plans, pattern)
    with pytest.raises(PlanError) as caught:
        deliver(path, lines[name], tmp_path / "out")
    text = str(caught.value)
    assert re.match(r"fields? 1 \(", text.removeprefix(f"{path}: "))
    assert "\n" not in text
    for reason in reasons:
        assert reason in text
    assert not (tmp_path / "out").exists()


def test_passive_elements_of_the_plan_are_mounted(
    lines: dict[str, BeamLine], shared_plans: Path, tmp_path: Path
):
    record = deliver(path_of(shared_plans, HEAD), lines["dcpt-like"], tmp_path / "head", field=1)
    assert record.fields[0].header["passive_elements"] == ["RS_5CM"]
    treatment = prepare(read_plan(path_of(shared_plans, TRIP_CARBON)), lines["trip"])
    assert treatment.fields[0].passive_elements == ("3 mm RIFI",)
