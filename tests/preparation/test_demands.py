"""What a beam line cannot deliver is refused, with where it stands in the plan and what to do about it."""

from __future__ import annotations

import re

import pytest

from spotline import PassiveElement, PlanError, load_beamline, prepare
from spotline.physics.ions import HELIUM
from tests.lines.facts import with_facts
from tests.preparation.plans import CARBON_MeV_u, field, layer, plan_of, proton_field

LINE = load_beamline("cnao-h")
GANTRY = with_facts(LINE, {"geometry.gantry_angles_deg": (), "geometry.gantry_range_deg": (0.0, 180.0)})
RIFI1, RIFI2 = (PassiveElement("range_modulator", f"RIFI{i}") for i in (1, 2))

OBSTACLES = [
    pytest.param(
        field(ion=HELIUM),
        LINE,
        "cnao-h has no helium beam (it has proton, carbon): choose another beam line",
        id="ion",
    ),
    pytest.param(
        field(gantry_angle_deg=45.0),
        LINE,
        "GantryAngle is 45 deg but cnao-h is fixed at 90 deg: choose the beam line of that direction",
        id="gantry angle of a fixed line",
    ),
    pytest.param(
        field(gantry_angle_deg=181.0),
        GANTRY,
        "GantryAngle is 181 deg, beyond 0 to 180 deg of cnao-h: choose a beam line that reaches it",
        id="gantry angle of a gantry",
    ),
    pytest.param(
        field(passive=(PassiveElement("block", "apt"),)),
        LINE,
        "block 'apt': cnao-h has no holder for it: plan without it",
        id="block",
    ),
    pytest.param(
        field(passive=(PassiveElement("range_shifter", "RS_5CM"),)),
        LINE,
        "range shifter 'RS_5CM' is not among those of cnao-h (RW3-10mm, RW3-20mm, RW3-30mm): plan with one "
        "of these, or add it to passive_elements of the beam line",
        id="range shifter",
    ),
    pytest.param(
        field(passive=(PassiveElement("range_shifter", "RW3-10mm", wet_mm=12.0),)),
        LINE,
        "range shifter 'RW3-10mm' is 12 mm of water in the plan but 10.48 mm on cnao-h: plan with that, or "
        "correct passive_elements of the beam line",
        id="thickness",
    ),
    pytest.param(
        field(passive=(RIFI1,)),
        LINE,
        "1 range modulators: cnao-h knows spot sizes for 0 or 2 of them only: plan with as many",
        id="number of range modulators",
    ),
    pytest.param(
        field(layer(tune_id="large"), passive=(RIFI1, RIFI2)),
        LINE,
        "layer 0 (221.45 MeV/u): ScanSpotTuneID 'large': cnao-h knows spot sizes of this focus for 0 range "
        "modulators only, not for 2: plan with another focus",
        id="focus with range modulators",
    ),
    pytest.param(
        field(unit="MU"),
        LINE,
        "PrimaryDosimeterUnit is MU but cnao-h has no particles_per_MU for carbon: use the beam line the "
        "plan was made for, or export the plan in particles (NP)",
        id="monitor units",
    ),
    pytest.param(
        field(layer(), layer(index=1, energy_MeV_u=220.0)),
        LINE,
        "layer 1 (220 MeV/u): cnao-h has no such NominalBeamEnergy for carbon (nearest 218.92 MeV/u): plan "
        "with the energies of the beam line",
        id="energy",
    ),
    pytest.param(
        field(layer(paintings=3)),
        LINE,
        "layer 0 (221.45 MeV/u): NumberOfPaintings is 3; repainting is not supported: plan with 1",
        id="paintings",
    ),
    pytest.param(
        field(layer([0.0, 100.0, 100.5, -101.0])),
        LINE,
        "layer 0 (221.45 MeV/u): ScanSpotPositionMap has 2 spots outside the 200 x 200 mm field of cnao-h, "
        "the first is spot 2 at (100.5, 0) mm: plan a smaller field",
        id="field size in x",
    ),
    pytest.param(
        field(layer(0.0, [-100.0, -100.1])),
        LINE,
        "has 1 spots outside the 200 x 200 mm field of cnao-h, the first is spot 1 at (0, -100.1) mm",
        id="field size in y",
    ),
    pytest.param(
        field(layer([0.0, 2.0, 4.0], 0.0, [5e4, 4990.0, 100.0])),
        LINE,
        "layer 0 (221.45 MeV/u): ScanSpotMetersetWeights has 2 spots with fewer than 5000 particles, the "
        "first is spot 1 with 4990: raise the minimum spot weight of the plan",
        id="particles of a spot",
    ),
]


@pytest.mark.parametrize(("planned", "line", "message"), OBSTACLES)
def test_obstacle(planned, line, message: str):
    with pytest.raises(PlanError) as caught:
        prepare(plan_of(planned), line)
    text = str(caught.value)
    assert text.startswith("small.dcm: field 1 (Field 1) cannot be delivered on cnao-h: ")
    assert message in text
    assert "\n" not in text
    assert text.count("; ") == message.count("; "), "nothing else is wrong with this plan"


def test_spot_is_counted_as_in_the_file():
    """Spots without particles are left out of the layer; the message counts them all the same."""
    kept = layer([0.0, 200.0], spot_index=[3, 8])
    with pytest.raises(PlanError, match="the first is spot 8 at"):
        prepare(plan_of(field(kept)), LINE)


@pytest.mark.parametrize(
    "planned",
    [
        field(gantry_angle_deg=None),
        field(gantry_angle_deg=450.0),  # 90 once more
        field(layer([100.0, -100.0], [-100.0, 100.0])),
        field(layer(meterset=4996.0)),  # 5000 as rounded to 32 bits, and a little less
        field(passive=(RIFI1, RIFI2)),
        field(layer(tune_id="small"), passive=(RIFI1, RIFI2)),
        field(passive=(PassiveElement("range_shifter", "RW3-10mm", wet_mm=10.4),)),
        field(layer(energy_MeV_u=CARBON_MeV_u[0] + 0.15)),
        proton_field(layer(meterset=5e5, energy_MeV_u=150.43)),
    ],
    ids=range(9),
)
def test_no_obstacle(planned):
    assert len(prepare(plan_of(planned), LINE).fields) == 1


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0])
def test_ends_of_a_gantry_are_reached(angle: float):
    assert prepare(plan_of(field(gantry_angle_deg=angle)), GANTRY).fields


def test_several_obstacles():
    planned = field(layer(paintings=2), layer(index=1, energy_MeV_u=300.0), gantry_angle_deg=0.0)
    with pytest.raises(PlanError) as caught:
        prepare(plan_of(planned), LINE)
    assert re.search(
        "GantryAngle.*; layer 0 .*NumberOfPaintings.*; layer 1 .*NominalBeamEnergy", str(caught.value)
    )
    assert "more of the kind" not in str(caught.value)


def test_many_obstacles_are_counted():
    layers = [layer(index=i, energy_MeV_u=300.0 + 0.001 * i) for i in range(10)]
    with pytest.raises(PlanError) as caught:
        prepare(plan_of(field(*layers)), LINE)
    text = str(caught.value)
    assert [f"layer {i} (" in text for i in range(10)] == [True] * 4 + [False] * 6
    assert text.endswith(" (and 6 more of the kind)")


def test_first_field_with_an_obstacle_is_named():
    plan = plan_of(field(), field(number=5, name="Boost", gantry_angle_deg=0.0))
    with pytest.raises(PlanError, match=r"small\.dcm: field 5 \(Boost\) cannot be delivered on cnao-h"):
        prepare(plan, LINE)
