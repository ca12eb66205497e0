"""What a beam line cannot deliver is refused: all of it at once, where it stands, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from spotline import Options, PassiveElement, PlanError, load_beamline, prepare
from spotline.physics.ions import HELIUM
from spotline.treatment.demands import obstacles
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, PROTON_MeV, field, layer, plan_of, proton_field

LINE = load_beamline("cnao-h")
GANTRY = with_facts(LINE, {"geometry.gantry_angles_deg": (), "geometry.gantry_range_deg": (0.0, 180.0)})
WEAK = with_facts(LINE, {"scanning.x.current_limit_A": 50.0, "scanning.y.current_limit_A": 60.0})
FEW_SPILLS = with_facts(LINE, {"accelerator.largest_spills_per_field": 10})
WITHOUT_MINIMUM = with_facts(
    LINE, {"ions.carbon.minimum_particles_per_spot": 0.0, "calibration.int2_daily_factor": 0.5}
)
RIFI1, RIFI2 = (PassiveElement("range_modulator", f"RIFI{i}") for i in (1, 2))

OBSTACLES = [
    pytest.param(
        field(ion=HELIUM),
        LINE,
        "cnao-h has no helium beam (it has proton, carbon): choose another beam line",
        id="ion",
    ),
    pytest.param(
        field(),
        with_facts(LINE, {"accelerator.extraction": "discrete"}),
        "cnao-h: accelerator.extraction: discrete extraction cannot be delivered yet: choose another beam "
        "line",
        id="discrete extraction",
    ),
    pytest.param(
        field(),
        with_facts(LINE, {"accelerator.energies_per_cycle": 4}),
        "cnao-h: accelerator.energies_per_cycle: 4 energies a cycle cannot be delivered yet: choose another "
        "beam line",
        id="several energies in a cycle",
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
        field(passive=(PassiveElement("block", "apt"), PassiveElement("bolus", "b1"))),
        LINE,
        "block 'apt', bolus 'b1': cnao-h has no holder for them: plan without them",
        id="block and bolus",
    ),
    pytest.param(
        field(passive=(PassiveElement("range_shifter", "RS_5CM"),)),
        LINE,
        "range shifter 'RS_5CM' is not among those of cnao-h (RW3-10mm, RW3-20mm, RW3-30mm): plan with "
        "these, or add to passive_elements of the beam line",
        id="range shifter",
    ),
    pytest.param(
        field(passive=(PassiveElement("range_shifter", "A"), PassiveElement("range_shifter", "B"))),
        with_facts(LINE, {"passive_elements.range_shifters": {}}),
        "range shifter 'A', range shifter 'B' are not among those of cnao-h (none): plan without, or add to "
        "passive_elements of the beam line",
        id="range shifters of a line without",
    ),
    pytest.param(
        field(
            passive=(
                PassiveElement("range_shifter", "RW3-10mm", wet_mm=12.0),
                PassiveElement("range_shifter", "RW3-20mm", wet_mm=20.9),
                PassiveElement("range_shifter", "RW3-30mm", wet_mm=30.0),
            )
        ),
        LINE,
        "range shifter 'RW3-10mm' is 12 mm of water in the plan but 10.48 mm on cnao-h, range shifter "
        "'RW3-30mm' is 30 mm of water in the plan but 31.44 mm on cnao-h: plan with that, or correct "
        "passive_elements of the beam line",
        id="thickness",
    ),
    pytest.param(
        field(passive=(RIFI1,)),
        LINE,
        "1 range modulator: cnao-h knows spot sizes for 0 or 2 of them only: plan with as many",
        id="number of range modulators",
    ),
    pytest.param(
        field(
            layer(tune_id="small"),
            *(layer(index=i, tune_id="large") for i in (1, 2, 4)),
            passive=(RIFI1, RIFI2),
        ),
        LINE,
        "layers 1-2, 4: ScanSpotTuneID 'large': cnao-h knows spot sizes of focus 'large' for 0 range "
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
        "layer 1 (220 MeV/u): cnao-h has no such NominalBeamEnergy for carbon (its own reach from 115.23 to "
        "398.84, nearest 218.92): plan with the energies of the beam line, or retarget the plan to the "
        "nearest ones",
        id="energy",
    ),
    pytest.param(
        field(*(layer(index=i, energy_MeV_u=e) for i, e in enumerate((220.0, 420.0, 221.45, 410.0, 420.0)))),
        LINE,
        "layers 0-1, 3-4 (220, 420, 410 MeV/u): cnao-h has no such NominalBeamEnergy for carbon (its own "
        "reach from 115.23 to 398.84, worst is layer 1 with 420, nearest 398.84): plan with",
        id="energies",
    ),
    pytest.param(
        field(layer([0.0, 100.0, 100.5, -101.0]), layer(index=1), layer(0.0, [-100.0, -102.5], index=2)),
        LINE,
        "layers 0, 2: 3 spots of ScanSpotPositionMap outside the 200 x 200 mm field of cnao-h, furthest spot "
        "1 of layer 2 at (0, -102.5) mm: plan a smaller field",
        id="field size",
    ),
    pytest.param(
        field(layer([0.0, 100.5])),
        LINE,
        "layer 0: 1 spot of ScanSpotPositionMap outside the 200 x 200 mm field of cnao-h",
        id="field size of one",
    ),
    pytest.param(
        # 152.5 A for 100 mm in x at 398.84 MeV/u; 0.715 of that at 221.45 MeV/u, by the rigidity.
        field(layer([32.0, 63.0, 63.5]), layer([-46.0, 44.0], index=1, energy_MeV_u=398.84)),
        with_facts(WEAK, {"scanning.x.current_limit_A": 69.0}),
        "layers 0-1: 2 spots of ScanSpotPositionMap beyond the reach of the x magnet of cnao-h (69 A), "
        "furthest spot 0 of layer 1 at (-46, 0) mm with 398.84 MeV/u needs 70.2 A: plan a smaller field",
        id="reach in x",
    ),
    pytest.param(
        field(layer(0.0, [0.0, 60.0])),
        WEAK,
        "layer 0: 1 spot of ScanSpotPositionMap beyond the reach of the y magnet of cnao-h (60 A), furthest "
        "spot 1 of layer 0 at (0, 60) mm with 221.45 MeV/u needs ",
        id="reach in y",
    ),
    pytest.param(
        field(layer([0.0, 2.0, 4.0], 0.0, [5e4, 4990.0, 4700.0]), layer(meterset=4890.0, index=1)),
        LINE,
        "layers 0-1: 3 spots of ScanSpotMetersetWeights with fewer than 5000 particles, fewest 4700 at spot "
        "2 of layer 0: raise the minimum spot weight of the plan",
        id="particles of a spot",
    ),
    pytest.param(
        field(layer([0.0, 2.0, 4.0], 0.0, [5e4, 1e3, 2e3])),
        WITHOUT_MINIMUM,
        "layer 0: 2 spots of ScanSpotMetersetWeights with fewer than 5 counts in the integral chambers of "
        "cnao-h (control.minimum_spot_counts), fewest ",
        id="counts of a spot",
    ),
    pytest.param(
        # A spill of 1.5 s with 50 ms of rise and 20 ms of fall holds 6e7 x 1.465 = 8.79e7 particles.
        field(layer(meterset=2e8), layer(meterset=8.79e8, index=1, energy_MeV_u=CARBON_MeV_u[1])),
        FEW_SPILLS,
        "13 spills at the highest intensity, most for layer 1 (10), but cnao-h allows 10 for a field "
        "(accelerator.largest_spills_per_field): plan fewer particles or several fields",
        id="spills",
    ),
    pytest.param(
        field(*(layer(index=i, energy_MeV_u=CARBON_MeV_u[i % 2]) for i in range(11))),
        FEW_SPILLS,
        "11 spills at the highest intensity, most for layer 0 (1), but cnao-h allows 10 for a field",
        id="slices",
    ),
]


def refusal_of(plan, line=LINE, **more) -> str:
    with pytest.raises(PlanError) as caught:
        prepare(plan, line, **more)
    return str(caught.value)


@pytest.mark.parametrize(("planned", "line", "message"), OBSTACLES)
def test_obstacle(planned, line, message: str):
    text = refusal_of(plan_of(planned), line)
    assert text.startswith("small.dcm: field 1 (Field 1) cannot be delivered on cnao-h: ")
    assert message in text
    assert "\n" not in text
    assert "; " not in text, "nothing else is wrong with this plan"


def test_number_of_paintings():
    often = field(layer(paintings=101), layer(index=1), layer(index=2, paintings=500))
    assert refusal_of(plan_of(often)).endswith(
        "cnao-h: layers 0, 2: NumberOfPaintings is 101, 500, more than 100: plan with fewer, or choose a "
        "number of paintings"
    )
    assert prepare(plan_of(often), LINE, options=Options(paintings=2)).fields
    assert prepare(plan_of(field(layer(paintings=100))), LINE).fields


def test_visits_of_a_spot():
    """At most 5e3 particles a visit would be 200 visits for 1e6."""
    strong = plan_of(field(layer([0.0, 2.0], 0.0, [1e6, 5e4]), layer(meterset=6e5, index=1)))
    found = refusal_of(strong, options=Options(largest_visit_particles=5e3))
    assert found.endswith(
        "layers 0-1: 2 spots would be visited more than 100 times with visits of 5000 particles, most "
        "often spot 0 of layer 0 (200 times): choose at least 10000 particles a visit"
    )
    # The minimum of 5000 particles does not let it be more.
    assert "(200 times)" in refusal_of(strong, options=Options(largest_visit_particles=1.0))
    treatment = prepare(strong, LINE, options=Options(largest_visit_particles=1e4))
    assert max(s.painting.max() for s in treatment.fields[0].slices) == 99


def test_counts_are_those_of_the_chamber_that_counts_less():
    """INT2 with half the daily factor: 5 counts take twice the particles of the table, over the gain map."""
    per_count = float(LINE.particles_per_count("carbon", CARBON_MeV_u[0]))
    enough = 5.0 * per_count / 0.5 / float(LINE.int2_gain(30.0, -20.0))
    kept = layer(30.0, -20.0, enough * 1.0001)
    assert prepare(plan_of(field(kept)), WITHOUT_MINIMUM).fields
    assert prepare(plan_of(field(layer(30.0, -20.0, enough * 0.9992))), WITHOUT_MINIMUM).fields, "rounding"
    with pytest.raises(PlanError, match=r"fewest 5 at spot 0 of layer 0 with [\d.]+ of [\d.]+ particles"):
        prepare(plan_of(field(layer(30.0, -20.0, enough * 0.998))), WITHOUT_MINIMUM)


def test_spot_is_counted_as_in_the_file():
    """Spots without particles are left out of the layer; the message counts them all the same."""
    kept = layer([0.0, 200.0], spot_index=np.array([3, 8]))
    with pytest.raises(PlanError, match="furthest spot 8 of layer 0 at"):
        prepare(plan_of(field(kept)), LINE)


@pytest.mark.parametrize(
    ("planned", "line"),
    [
        (field(gantry_angle_deg=None), LINE),
        (field(gantry_angle_deg=450.0), LINE),  # 90 once more
        (field(layer([100.0, -100.0], [-100.0, 100.0])), LINE),
        (field(layer(meterset=4996.0)), LINE),  # 5000 as rounded to 32 bits, and a little less
        (field(passive=(RIFI1, RIFI2)), LINE),
        (field(layer(tune_id="small"), passive=(RIFI1, RIFI2)), LINE),
        (field(passive=(PassiveElement("range_shifter", "RW3-10mm", wet_mm=10.4),)), LINE),
        (field(layer(energy_MeV_u=CARBON_MeV_u[0] + 0.15)), LINE),
        (proton_field(layer(meterset=5e5, energy_MeV_u=150.43)), LINE),
        (field(layer([0.0, 40.0], [0.0, 40.0])), WEAK),
        (field(layer(meterset=10 * 6e7 * 1.465)), FEW_SPILLS),  # full to the last one
        # Ten layers of one energy are one slice.
        (field(*(layer(index=i, x_mm=2.0 * i) for i in range(20))), FEW_SPILLS),
    ],
    ids=range(12),
)
def test_no_obstacle(planned, line):
    assert len(prepare(plan_of(planned), line).fields) == 1


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0])
def test_ends_of_a_gantry_are_reached(angle: float):
    assert prepare(plan_of(field(gantry_angle_deg=angle)), GANTRY).fields


def test_all_obstacles_of_a_field_at_once():
    """An unknown energy hides neither positions nor particles nor spills of its own layer."""
    planned = field(
        layer([0.0, 99.0, 120.0], 0.0, [1e8, 4e3, 9e9], energy_MeV_u=300.0),
        gantry_angle_deg=0.0,
        passive=(PassiveElement("block", "apt"), RIFI1),
    )
    line = with_facts(FEW_SPILLS, {"scanning.x.current_limit_A": 100.0})
    found = refusal_of(plan_of(planned), line).split("; ")
    expected = (
        "layer 0 .* no such NominalBeamEnergy",
        "GantryAngle",
        "block",
        "1 spot .* outside",
        "1 range modulator",
        "1 spot .* reach",
        "1 spot .* fewer than 5000",
        "104 spills",
    )
    for reason, words in zip(found, expected, strict=True):
        assert re.search(words, reason)


def test_obstacles_beside_an_unknown_ion():
    found = refusal_of(
        plan_of(
            field(layer(120.0), ion=HELIUM, gantry_angle_deg=0.0, passive=(PassiveElement("block", "a"),))
        )
    )
    assert re.search("helium.*; GantryAngle.*; block.*; layer 0: 1 spot .* outside", found)


def test_positions_are_checked_without_a_calibration_of_monitor_units():
    found = refusal_of(plan_of(field(layer([0.0, 120.0], meterset=1.0), unit="MU")))
    assert re.search("1 spot .* outside.*; PrimaryDosimeterUnit", found)
    assert "ScanSpotMetersetWeights" not in found, "nobody knows how many particles these are"


def test_particles_of_monitor_units():
    table = LINE.energies["proton"]
    energies = {**LINE.energies, "proton": replace(table, particles_per_MU=table.energy_MeV_u * 1e5)}
    line = replace(LINE, energies=energies)
    plan = plan_of(proton_field(layer([0.0, 2.0], 0.0, [1.0, 0.02], energy_MeV_u=PROTON_MeV[0]), unit="MU"))
    found = refusal_of(plan, line)
    assert (
        "1 spot of ScanSpotMetersetWeights with fewer than 500000 particles, fewest 300860 at spot 1" in found
    )


def test_nothing_is_left_out_of_a_long_list():
    layers = [layer(index=i, energy_MeV_u=300.0 + 0.01 * i) for i in range(20)]
    found = refusal_of(plan_of(field(*layers)))
    assert "layers 0-19 (" in found
    assert all(f"{300.0 + 0.01 * i:g}" in found for i in range(20))
    assert "; " not in found


def test_all_fields_at_once():
    """A reason that fields share is told once."""
    plan = plan_of(
        field(layer(120.0), gantry_angle_deg=0.0),
        field(number=5, name="Good"),
        field(layer(), layer(energy_MeV_u=220.0, index=1), number=7, name="Boost", gantry_angle_deg=0.0),
    )
    found = refusal_of(plan)
    both, first, last = found.removeprefix("small.dcm: ").split("; ")
    assert both.startswith("fields 1 (Field 1), 7 (Boost) cannot be delivered on cnao-h: GantryAngle is 0")
    assert first.startswith("field 1 (Field 1) cannot be delivered on cnao-h: layer 0: 1 spot")
    assert last.startswith("field 7 (Boost) cannot be delivered on cnao-h: layer 1 (220 MeV/u)")


def test_field_that_is_not_asked_for_may_be_impossible():
    plan = plan_of(field(), field(number=2, gantry_angle_deg=0.0))
    assert len(prepare(plan, LINE, field=1).fields) == 1
    assert "field 2 (Field 2)" in refusal_of(plan)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_device_can_be_in_the_beam_once(times: int):
    shifter = PassiveElement("range_shifter", "RW3-10mm", wet_mm=10.48)
    wanted = field(passive=(shifter,) * times)
    said = [reason for reason in obstacles(wanted, LINE) if "RW3-10mm" in reason]
    if times == 1:
        assert said == []
    else:
        (one,) = said
        assert one.startswith(f"the plan has range shifter 'RW3-10mm' {times} times in the beam, but cnao-h")
