"""The verb: which fields, by which instructions, with which warnings."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace

import numpy as np
import pytest

from spotline import BeamLine, Options, PlanError, load_beamline, prepare
from spotline.moves import move_times_us
from spotline.plan.instructions import PreparedFor
from spotline.treatment.treatment import FieldTreatment
from tests.lines.facts import with_facts
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, square

LINE = load_beamline("cnao-h")


def assert_same(one: FieldTreatment, other: FieldTreatment) -> None:
    """Everything that is delivered is the same, bit by bit."""
    for a, b in zip(one.slices, other.slices, strict=True):
        for item in fields_of(a):
            np.testing.assert_array_equal(getattr(a, item.name), getattr(b, item.name), err_msg=item.name)
    for a, b in zip(one.instructions, other.instructions, strict=True):
        for item in fields_of(a):
            np.testing.assert_array_equal(getattr(a, item.name), getattr(b, item.name), err_msg=item.name)
    assert one.gas_factors == other.gas_factors


def plan():
    """Layers of one energy, weak spots, an own number of paintings."""
    rng = np.random.default_rng(3)
    x_mm, y_mm = rng.uniform(-80.0, 80.0, (2, 40))
    return plan_of(
        field(
            layer(x_mm, y_mm, 10 ** rng.uniform(3.8, 6.0, 40)),
            layer(x_mm + 1.0, y_mm, 3e4, index=1, paintings=3),
            square(6, 3.0, 2e4, index=2, energy_MeV_u=CARBON_MeV_u[1]),
        ),
        field(square(4, 5.0, 1e5), number=7, name="Boost"),
    )


OPTIONS = [
    None,
    Options(order="planned"),
    Options(paintings=4, repainting="back_and_forth", intensity=0.5),
    Options(largest_visit_particles=2e4, repainting="volumetric", beam_off_jump_mm=4.0),
]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_extended_plan_is_prepared_to_the_same_treatment(options: Options | None):
    first = prepare(plan(), LINE, options=options)
    extended = first.extended_plan
    assert extended.prepared_for == PreparedFor("cnao-h", LINE.facts.version, LINE.sha256, "", "5" * 64)
    second = prepare(extended, LINE)
    for one, other in zip(first.fields, second.fields, strict=True):
        assert_same(one, other)
        assert one.warnings == other.warnings
    assert second.extended_plan.prepared_for == extended.prepared_for


def test_extended_plan_is_prepared_anew_if_something_is_asked_for():
    first = prepare(plan(), LINE, options=Options(paintings=4, order="planned"))
    again = prepare(first.extended_plan, LINE, options=Options())
    for one, other in zip(prepare(plan(), LINE).fields, again.fields, strict=True):
        assert_same(one, other)


def test_extended_plan_for_another_line_is_prepared_anew_with_a_warning():
    other = with_facts(replace(LINE, sha256="0" * 64), {"name": "other", "version": "8"})
    extended = prepare(plan(), other, options=Options(order="planned", intensity=0.1)).extended_plan
    treatment = prepare(extended, LINE)
    for one, again in zip(prepare(plan(), LINE).fields, treatment.fields, strict=True):
        assert_same(one, again)
        assert again.warnings[-1] == (
            "the instructions in the plan are for other version 8, which is not this beam line: "
            "preparing anew"
        )
    assert treatment.extended_plan.prepared_for is not None
    assert treatment.extended_plan.prepared_for.beamline == "cnao-h"


def test_same_figures_under_another_name_are_another_line():
    """The hash decides, not the name."""
    other = replace(LINE, sha256="0" * 64)
    treatment = prepare(prepare(plan(), other).extended_plan, LINE)
    assert "for cnao-h version 1, which is not this beam line" in treatment.fields[0].warnings[-1]


@pytest.mark.parametrize(
    "change",
    [{"focus": "sharp"}, {"intensity_level": 0.3}, {"energy_MeV_u": 221.0}],
    ids=lambda c: next(iter(c)),
)
def test_instructions_that_the_line_cannot_follow_are_refused(change: dict[str, object]):
    extended = prepare(plan(), LINE).extended_plan
    first, *others = extended.fields[0].instructions
    forged = replace(extended.fields[0], instructions=(replace(first, **change), *others))
    with pytest.raises(PlanError, match=r"field 1 .* slice 0: its instructions ask for"):
        prepare(replace(extended, fields=(forged, *extended.fields[1:])), LINE)


def test_instructions_of_other_fields_are_kept():
    whole = prepare(plan(), LINE).extended_plan
    again = prepare(whole, LINE, field=1).extended_plan
    assert [len(f.instructions) for f in again.fields] == [len(f.instructions) for f in whole.fields]


def test_field_that_was_not_prepared_is_prepared_now():
    extended = prepare(plan(), LINE, field=1).extended_plan
    assert [bool(f.instructions) for f in extended.fields] == [True, False]
    treatment = prepare(extended, LINE)
    for one, other in zip(prepare(plan(), LINE).fields, treatment.fields, strict=True):
        assert_same(one, other)


def test_whole_treatment():
    small = plan_of(field(square(3, 4.0, 5e4)), field(layer(), layer(index=1, energy_MeV_u=218.92), number=7))
    treatment = prepare(small, LINE)
    assert treatment.plan is small
    assert treatment.beamline is LINE
    assert [f.field.number for f in treatment.fields] == [1, 7]
    assert [(f.n_spots, f.particles, len(f.slices)) for f in treatment.fields] == [(9, 4.5e5, 1), (2, 1e5, 2)]
    (only,) = prepare(small, LINE, field=7).fields
    assert only.field is small.fields[1]
    with pytest.raises(PlanError, match="no field has beam number 3; the plan has 1, 7"):
        prepare(small, LINE, field=3)


def test_progress_is_told_slice_by_slice():
    steps: list[tuple[int, int]] = []
    treatment = prepare(plan(), LINE, progress=lambda done, all_: steps.append((done, all_)))
    assert [len(f.slices) for f in treatment.fields] == [2, 1]
    assert steps == [(1, 2), (2, 2), (1, 1)]


def test_unknown_focus_is_the_default_one_with_a_warning():
    layers = [layer(index=i, tune_id="4.0", energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u)]
    prepared = prepare(plan_of(field(*layers)), LINE).fields[0]
    assert {s.focus for s in prepared.slices} == {"small"}
    assert prepared.warnings == (
        "ScanSpotTuneID '4.0' is not a focus of cnao-h (small, large): using 'small'",
    ), "it is said once"


@pytest.mark.parametrize("tune_id", ["", "small"])
def test_known_or_missing_focus_makes_no_warning(tune_id: str):
    prepared = prepare(plan_of(field(layer(tune_id=tune_id))), LINE).fields[0]
    assert (prepared.slices[0].focus, prepared.warnings) == ("small", ())


def test_spot_too_short_at_any_intensity_is_delivered_with_a_warning():
    line = with_facts(
        LINE, {"ions.carbon.minimum_particles_per_spot": 100.0, "control.minimum_spot_counts": 1}
    )
    small = plan_of(field(layer(), layer(meterset=900.0, index=1, energy_MeV_u=CARBON_MeV_u[1])))
    prepared = prepare(small, line).fields[0]
    assert prepared.slices[1].intensity_level == 0.1
    (warning,) = prepared.warnings
    assert warning.startswith("slice 1: the smallest spot lasts 150 us")
    assert "minimum_spot_time_us" in warning


def test_a_line_without_a_reading_of_the_ring_has_no_witness_outside_of_the_nozzle():
    dry = with_facts(LINE, {"accelerator.ring_pulse_share": 0.0})
    (warning,) = prepare(plan_of(field(layer())), dry).fields[0].warnings
    assert warning.startswith(
        "cnao-h reads no charge of a ring (accelerator.ring_pulse_share): if all chambers"
    )
    assert prepare(plan_of(field(layer())), LINE).fields[0].warnings == ()


def test_intensity_that_makes_spots_too_short_is_taken_with_a_warning():
    prepared = prepare(plan_of(field(layer(meterset=7e3))), LINE, options=Options(intensity=1.0)).fields[0]
    assert prepared.slices[0].intensity_level == 1.0
    (warning,) = prepared.warnings
    assert warning.startswith("slice 0: the smallest spot lasts 117 us at an intensity of 100%")


def limited(spills: int) -> BeamLine:
    return with_facts(LINE, {"accelerator.largest_spills_per_field": spills})


def test_choices_that_take_too_many_spills_are_refused():
    """At full intensity 2.5e8 ions are three spills of 8.79e7, at a tenth they are 29."""
    big = plan_of(field(layer(meterset=2.5e8)), field(layer(meterset=2.5e8), number=2))
    assert prepare(big, limited(3)).fields
    assert prepare(big, limited(29), options=Options(intensity=0.1)).fields
    with pytest.raises(PlanError) as caught:
        prepare(big, limited(28), options=Options(intensity=0.1))
    assert str(caught.value) == (
        "small.dcm: fields 1 (Field 1), 2 (Field 2) cannot be delivered on cnao-h: 29 spills for 1 slice at "
        "intensity 0.1, but cnao-h allows 28 for a field (accelerator.largest_spills_per_field): choose a "
        "higher intensity or fewer paintings, or raise the smallest spots of the plan"
    )


def test_paintings_that_take_too_many_spills_are_refused():
    small = plan_of(field(layer(), layer(index=1, energy_MeV_u=CARBON_MeV_u[1])))
    often = Options(paintings=3, repainting="volumetric")
    assert prepare(small, limited(6), options=often).fields
    with pytest.raises(PlanError, match=r"6 spills for 6 slices at intensity 1, but cnao-h allows 5"):
        prepare(small, limited(5), options=often)


def test_weak_spot_may_demand_too_many_spills():
    """One spot of 5000 ions slows the whole slice down to a fifth."""
    weak = plan_of(field(layer([0.0, 2.0], 0.0, [5e3, 1.7e8])))
    with pytest.raises(
        PlanError, match=r"10 spills for 1 slice at intensity 0\.2, .* raise the smallest spots"
    ):
        prepare(weak, limited(9))


def test_path_of_a_treatment_is_what_its_moves_say():
    """Slices keep the order of the instructions, so that their moves are the measured path."""
    (prepared, _) = prepare(plan(), LINE).fields
    for slice_, instruction in zip(prepared.slices, prepared.instructions, strict=True):
        moves = LINE.moves("carbon", slice_.energy_MeV_u)
        of_plan = [
            (prepared.field.layers[k].x_iso_mm[i], prepared.field.layers[k].y_iso_mm[i])
            for k, i in zip(instruction.layer, instruction.spot, strict=True)
        ]
        x_mm, y_mm = np.array(of_plan).T
        np.testing.assert_array_equal(
            move_times_us(x_mm, y_mm, moves), move_times_us(slice_.x_iso_mm, slice_.y_iso_mm, moves)
        )


def test_what_a_plan_states_and_nothing_follows_is_told():
    told = replace(plan_of(field(notes=("of the field",))), notes=("of the plan",), repairs=("the modality",))
    assert prepare(told, LINE).fields[0].warnings == (
        "repaired in the plan: the modality",
        "of the plan",
        "of the field",
    )


def test_a_plan_for_another_machine_is_told_so():
    (warning,) = prepare(plan_of(field(machine="TR2")), LINE).fields[0].warnings
    assert warning == "TreatmentMachineName is 'TR2' in the plan; it is delivered on cnao-h"


def test_other_scanning_magnets_than_planned_are_told_with_how_far_spots_are_off():
    """100 mm before the isocentre a spot at 80 mm lies at 80 (1 - 100 / f) mm."""
    spots = layer([80.0, 0.0], [0.0, 10.0], 5e4)
    (warning,) = (
        prepare(plan_of(field(spots, source_axis_distances_mm=(2000.0, 2560.0))), LINE).fields[0].warnings
    )
    off_mm = 80.0 * 100.0 * (1.0 / 2000.0 - 1.0 / LINE.facts.geometry.x_source_to_isocentre_mm)
    assert warning.startswith(
        "VirtualSourceAxisDistances is 2000, 2560 mm in the plan, but the scanning magnets"
    )
    assert warning.endswith(f"up to {off_mm:.2g} mm off 100 mm before or behind it")
    (unknown,) = prepare(plan_of(field(spots, source_axis_distances_mm=(0.0, 0.0))), LINE).fields[0].warnings
    assert unknown.endswith("at the isocentre only")


def test_the_same_scanning_magnets_are_not_told():
    geometry = LINE.facts.geometry
    here_mm = geometry.x_source_to_isocentre_mm + 1.0, geometry.y_source_to_isocentre_mm
    assert prepare(plan_of(field(source_axis_distances_mm=here_mm)), LINE).fields[0].warnings == ()
