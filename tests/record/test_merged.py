"""Delivery and continuations in one account: every count of the prescription is in it exactly once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotline import Options, Plan, Record, RecordError, continuation_plan, merge_records
from spotline.physics.ions import PROTON
from spotline.record.merged import MergedField
from spotline.record.model import ASSUMED
from spotline.treatment.treatment import Treatment
from tests.record.continued import (
    Visit,
    everything,
    nothing,
    prescribed,
    record_of,
    some_visits,
    treatment_of,
)
from tests.treatment.plans import CARBON_MeV_u, PROTON_MeV, field, layer, plan_of

WEIGHTS = st.lists(st.floats(5e3, 3e6), min_size=1, max_size=8)
GASES = st.tuples(st.floats(17.0, 25.0), st.floats(95_000.0, 105_000.0))
OPTIONS = st.builds(
    Options,
    order=st.just("planned"),
    intensity=st.just(1.0),
    paintings=st.integers(1, 4),
    repainting=st.sampled_from(["layered", "volumetric"]),
)


def plan_with(first: list[float], second: list[float]) -> Plan:
    """One field of two layers, with spots at places of different gain."""
    return plan_of(
        field(
            layer(np.linspace(-80.0, 80.0, len(first)), 10.0, first),
            layer(
                -30.0, np.linspace(-70.0, 60.0, len(second)), second, index=1, energy_MeV_u=CARBON_MeV_u[1]
            ),
        )
    )


def plain(treatment: Treatment) -> dict[tuple[int, int], int]:
    """Prescribed counts by spot, in the order of the plan."""
    (treated,) = treatment.fields
    found: dict[tuple[int, int], int] = {}
    for s in treated.slices:
        for *key, counts in zip(
            s.planned_layer.tolist(), s.planned_spot.tolist(), s.int1_counts, strict=True
        ):
            found[key[0], key[1]] = found.get((key[0], key[1]), 0) + int(counts)
    return dict(sorted(found.items()))


def left_by_hand(treatment: Treatment, visits: list[Visit]) -> dict[tuple[int, int], int]:
    """What stopped and untouched visits lack, spot by spot."""
    (treated,) = treatment.fields
    found: dict[tuple[int, int], int] = {}
    rest = iter(visits)
    for s in treated.slices:
        for *key, counts in zip(
            s.planned_layer.tolist(), s.planned_spot.tolist(), s.int1_counts, strict=True
        ):
            given_, complete = next(rest)
            lacks = 0 if complete else int(counts) - given_
            found[key[0], key[1]] = found.get((key[0], key[1]), 0) + lacks
    return {key: max(0, n) for key, n in sorted(found.items())}


def account(*records: Record) -> MergedField:
    (merged,) = merge_records(records).fields
    return merged


@settings(max_examples=60)
@given(WEIGHTS, WEIGHTS, OPTIONS, GASES, st.data())
def test_delivered_and_continued_counts_are_the_prescription(first, second, options, gas, data):
    """For any part that was delivered, of any number of continuations, under one gas: to the count."""
    treatment = treatment_of(plan_with(first, second), options, gas)
    wanted = plain(treatment)
    with TemporaryDirectory() as folder:
        visits = data.draw(some_visits(treatment))
        records = [record_of(treatment, visits, Path(folder) / "0")]
        if not any(n > 0 or complete for n, complete in visits[0]):
            assert merge_records(records).fields == ()
            return
        left = left_by_hand(treatment, visits[0])
        for number in range(1, 4):
            spots = account(*records).spots
            assert spots["int1_prescribed"].tolist() == list(wanted.values())
            assert spots["int1_left"].tolist() == list(left.values())
            assert (spots["int1_done"] + spots["int1_left"] == spots["int1_prescribed"]).all()
            assert (spots["complete"] == (spots["int1_left"] == 0)).all()
            if not any(left.values()):
                with pytest.raises(RecordError, match="nothing is left"):
                    continuation_plan(records, treatment.plan)
                return
            rest = treatment_of(continuation_plan(records, treatment.plan), options, gas)
            assert rest.plan.continues is not None
            assert rest.plan.continues.number == number
            asked = plain(rest)
            assert list(asked.values()) == [n for n in left.values() if n > 0]
            visits = data.draw(some_visits(rest)) if number < 3 else everything(rest)
            if not any(n > 0 or complete for n, complete in visits[0]):
                visits = everything(rest)
            records.append(record_of(rest, visits, Path(folder) / str(number)))
            still = iter(left_by_hand(rest, visits[0]).values())
            left = {key: next(still) if n > 0 else 0 for key, n in left.items()}
        assert account(*records).is_complete


@settings(max_examples=40)
@given(WEIGHTS, WEIGHTS, GASES, GASES, st.data())
def test_other_gas(first, second, gas, later, data):
    """Counts of the continuation are the nearest to the particles that are left, spot by spot."""
    treatment = treatment_of(plan_with(first, second), None, gas)
    with TemporaryDirectory() as folder:
        visits = data.draw(some_visits(treatment))
        visits[0][0] = (1, False)
        records = [record_of(treatment, visits, Path(folder) / "0")]
        before = account(*records)
        spots = before.spots[before.spots["int1_left"] > 0]
        if not len(spots):
            return
        rest = treatment_of(continuation_plan(records, treatment.plan), None, later)
        (treated,) = rest.fields
        per_count = np.concatenate([s.particles_per_count1 for s in treated.slices])
        exact = spots["int1_left"] * before.meterset_per_count[before.spots["int1_left"] > 0] / per_count
        counts = np.array(prescribed(rest)[0])
        assert (np.abs(counts - np.maximum(exact, 1.0)) <= 0.5 + 1e-6).all()
        # Whatever part of that is delivered: nothing is lost, and whole spots are whole.
        visits = data.draw(some_visits(rest))
        merged = account(*records, record_of(rest, visits, Path(folder) / "1"))
        after = merged.spots[before.spots["int1_left"] > 0]
        assert (after["int1_done"] + after["int1_left"] == after["int1_prescribed"]).all()
        assert (after["int1_left"] <= spots["int1_left"]).all()
        if not any(n > 0 or complete for n, complete in visits[0]):
            assert (
                after["int1_left"].tolist() == spots["int1_left"].tolist()
            )  # nothing given, nothing rounded
            return
        lacks = np.array(list(left_by_hand(rest, visits[0]).values()))
        assert ((after["int1_left"] == 0) == (lacks == 0)).all()
        expected = lacks * per_count / before.meterset_per_count[before.spots["int1_left"] > 0]
        bounded = np.clip(expected, (lacks > 0).astype(float), spots["int1_left"])
        assert (np.abs(after["int1_left"] - bounded) <= 0.5 + 1e-6).all()


def test_rounding_leaves_no_more_than_there_was(tmp_path: Path):
    """6 counts are 5.5 in thinner gas, so 6; 6 of those would be 6.5 of the first, so 7: more than 6."""
    treatment = treatment_of(plan_of(field(layer([0.0, 8.0], 0.0, 5e4))))
    first, _ = prescribed(treatment)[0]
    record = record_of(treatment, [[(first - 6, False), (0, False)]], tmp_path / "0")
    rest = treatment_of(continuation_plan(record, treatment.plan), None, (0.92, 0.92))
    asked = prescribed(rest)[0]
    assert asked[0] == 6
    later = record_of(rest, [[(0, False), (20, False)]], tmp_path / "1")
    assert account(record, later).spots["int1_left"][0] == 6


def small(folder: Path, visits: list[Visit] | None = None, **changes: object) -> tuple[Treatment, Record]:
    """Three spots of 200, 100 and 300 counts, of which the first is complete and the second stopped."""
    treatment = treatment_of(dataclasses.replace(plan_with([1e5, 5e4], [1.5e5]), **changes))
    first, *_ = prescribed(treatment)[0]
    return treatment, record_of(treatment, [visits or [(first + 1, True), (40, False), (0, False)]], folder)


def test_account_by_hand(tmp_path: Path):
    treatment, record = small(tmp_path / "0")
    counts = prescribed(treatment)[0]
    spots = account(record).spots
    assert spots["int1_done"].tolist() == [counts[0], 40, 0], "a completed spot counts as prescribed"
    assert spots["int1_counts"].tolist() == [counts[0] + 1, 40, 0]
    assert spots["int1_left"].tolist() == [0, counts[1] - 40, counts[2]]
    assert spots["deliveries"].tolist() == [1, 1, 0]
    assert spots["planned_layer"].tolist() == [0, 0, 1]
    assert spots["energy_MeV_u"].tolist() == [CARBON_MeV_u[0], CARBON_MeV_u[0], CARBON_MeV_u[1]]
    rest = treatment_of(continuation_plan(record, treatment.plan))
    merged = account(record_of(rest, everything(rest), tmp_path / "1"), record)
    spots = merged.spots
    assert merged.is_complete
    assert spots["deliveries"].tolist() == [1, 2, 1]
    assert spots["int1_counts"].tolist() == [counts[0] + 1, *counts[1:]]
    assert spots["particles"][1:] == pytest.approx(spots["particles_planned"][1:], rel=0.01)
    assert spots["x_mm"] == pytest.approx(spots["x_planned_mm"] + 0.1)


def test_position_is_weighted_by_particles(tmp_path: Path):
    treatment, record = small(tmp_path / "0")
    rest = treatment_of(continuation_plan(record, treatment.plan))
    later = record_of(rest, everything(rest), tmp_path / "1")
    later.fields[0].spots["x_mm"] += 1.0
    spots = account(record, later).spots
    part = 40 / prescribed(treatment)[0][1]
    assert spots["x_mm"][1] - spots["x_planned_mm"][1] == pytest.approx(0.1 * part + 1.1 * (1 - part))
    later.fields[0].spots["position_valid"] = False
    spots = account(record, later).spots
    assert spots["x_mm"][1] - spots["x_planned_mm"][1] == pytest.approx(0.1), "a centre of gravity outranks"
    assert spots["position_valid"].tolist() == [True, True, False]


def test_surplus_of_a_stopped_visit_is_taken_off_the_others(tmp_path: Path):
    """Two paintings of one spot: the first was stopped too late."""
    treatment = treatment_of(plan_of(field(layer(meterset=1e5))), Options(order="planned", paintings=2))
    first, second = prescribed(treatment)[0]
    for surplus, left in ((3, second - 3), (second, 0), (second + 5, 0)):
        visits = [[(first + surplus, False), (0, False)]]
        spots = account(record_of(treatment, visits, tmp_path / str(surplus))).spots
        assert (spots["int1_left"][0], spots["int1_done"][0]) == (left, first + second - left)


def test_counts_that_are_assumed_count_as_delivered(tmp_path: Path):
    """A delivery that died: 40 counts were confirmed, 30 and a whole spot may have followed."""
    treatment, record = small(tmp_path)
    counts = prescribed(treatment)[0]
    (stopped,) = record.fields
    rows = [(0, 1, 1, 30, 30, 0.0, False), (1, 0, 2, counts[2], counts[2], 0.0, True)]
    stopped = dataclasses.replace(stopped, assumed=np.array(rows, ASSUMED))
    record = dataclasses.replace(record, fields=(stopped,))
    spots = account(record).spots
    assert spots["int1_left"].tolist() == [0, counts[1] - 70, 0]
    assert spots["int1_done"].tolist() == [counts[0], 70, counts[2]]
    assert spots["int1_counts"].tolist() == [counts[0] + 1, 40, 0]
    assert spots["int1_assumed"].tolist() == [0, 30, counts[2]]
    assert spots["deliveries"].tolist() == [1, 1, 1]
    assert continuation_plan(record, treatment.plan).fields[0].n_spots == 1


def test_two_fields_of_which_one_was_not_begun(tmp_path: Path):
    """The second is delivered as it was planned, and its account begins with the continuation."""
    second = field(layer([0.0, 5.0], 0.0, 3e6, energy_MeV_u=PROTON_MeV[0]), number=2, ion=PROTON)
    plan = dataclasses.replace(plan_with([1e5, 5e4], [1.5e5]), fields=())
    plan = dataclasses.replace(plan, fields=(*plan_with([1e5, 5e4], [1.5e5]).fields, second))
    treatment = treatment_of(plan)
    visits = [[(50, False), (0, False), (0, False)], nothing(treatment)[1]]
    record = record_of(treatment, visits, tmp_path / "0")
    assert [f.number for f in merge_records([record]).fields] == [1]
    rest = continuation_plan(record, plan)
    assert [(f.number, f.delivery_type) for f in rest.fields] == [(1, "CONTINUATION"), (2, "TREATMENT")]
    assert rest.fields[1].meterset == second.meterset
    prepared = treatment_of(rest)
    assert prescribed(prepared)[1] == prescribed(treatment)[1]
    later = record_of(prepared, [everything(prepared)[0], [(100, False), (0, False)]], tmp_path / "1")
    assert [f.is_complete for f in merge_records([record, later]).fields] == [True, False]
    last = continuation_plan([later, record], plan)
    assert [(f.number, f.delivery_type) for f in last.fields] == [(2, "CONTINUATION")], "the whole one is out"
    prepared = treatment_of(last)
    end = record_of(prepared, everything(prepared), tmp_path / "2")
    merged = merge_records([end, record, later])
    assert [f.is_complete for f in merged.fields] == [True, True]
    assert merged.continuations == 2
    with pytest.raises(
        RecordError, match=r"nothing is left to deliver: all 5 spots of 2 fields are complete"
    ):
        continuation_plan(merged.records, plan)


def refused(records: list[Record], match: str) -> None:
    with pytest.raises(RecordError, match=match) as error:
        merge_records(records)
    assert "\n" not in str(error.value)


def test_records_that_do_not_belong_together(tmp_path: Path):
    treatment, record = small(tmp_path / "0")
    plan = treatment.plan
    rest = treatment_of(continuation_plan(record, plan))
    half = record_of(rest, [[(10, False), (0, False)]], tmp_path / "1")
    last = treatment_of(continuation_plan([record, half], plan))
    end = record_of(last, everything(last), tmp_path / "2")
    assert account(record, half, end).is_complete

    refused([], "no records")
    refused(
        [half], "is the delivery of a continuation plan: give the record of the delivery that it continues"
    )
    refused([end, half], "is the delivery of a continuation plan")
    refused([record, end], r"layer 0 was to receive .* but the deliveries before it left .* is missing")
    refused([record, record], "was delivered in another record too")
    refused([record, half, half], "was to receive")
    refused([record, half, end, end], r"was to deliver 2 spots, but the deliveries before it left 0")
    _, stranger = small(tmp_path / "3", sha256="7" * 64)
    refused([record, stranger], "is of another plan")
    refused([stranger, half], "is of another plan")
    header = {**half.fields[0].header, "beamline": "cnao-v"}
    moved = dataclasses.replace(half, fields=(dataclasses.replace(half.fields[0], header=header),))
    refused([record, moved], "was delivered on cnao-v, but .* on cnao-h")
    refused([dataclasses.replace(record, fields=())], "no field was begun")


@pytest.mark.parametrize(("factor", "belongs"), [(1.0, True), (1.0 + 1e-5, False), (1.0 - 1e-5, False)])
def test_a_plan_holds_numbers_of_32_bits(factor: float, belongs: bool, tmp_path: Path):
    """What a continuation is to give is what was left, but for the last digits that a file keeps."""
    treatment, record = small(tmp_path / "0")
    plan = continuation_plan(record, treatment.plan)
    (left,) = plan.fields
    layers = tuple(
        dataclasses.replace(one, meterset=(factor * one.meterset).astype(np.float32).astype(float))
        for one in left.layers
    )
    assert any((one.meterset != other.meterset).any() for one, other in zip(layers, left.layers, strict=True))
    rest = treatment_of(dataclasses.replace(plan, fields=(dataclasses.replace(left, layers=layers),)))
    records = [record, record_of(rest, everything(rest), tmp_path / "1")]
    if belongs:
        assert account(*records).is_complete
    else:
        refused(records, "was to receive")


def test_other_spots_of_the_same_plan(tmp_path: Path):
    """A continuation of another delivery of the plan: as many spots, and other ones."""
    treatment, record = small(tmp_path / "0")
    counts = prescribed(treatment)[0]
    _, other = small(tmp_path / "1", [(40, False), (counts[1], True), (0, False)])
    rest = treatment_of(continuation_plan(other, treatment.plan))
    refused([record, record_of(rest, everything(rest), tmp_path / "2")], "continues another delivery")


def test_plan_that_was_not_delivered(tmp_path: Path):
    treatment, record = small(tmp_path / "0")
    plan = treatment.plan
    with pytest.raises(RecordError, match="has no copy of the plan that was delivered"):
        continuation_plan(record)
    with pytest.raises(RecordError, match="its hash differs"):
        continuation_plan(record, dataclasses.replace(plan, sha256="8" * 64))
    (planned,) = plan.fields
    first, second = planned.layers

    def with_layer(**changes: object) -> Plan:
        layers = (dataclasses.replace(first, **changes), second)
        return dataclasses.replace(plan, fields=(dataclasses.replace(planned, layers=layers),))

    for changed, match in (
        (with_layer(x_iso_mm=first.x_iso_mm + 0.5), "spot 0 of layer 0 is 0.5 mm from where the plan has it"),
        (with_layer(energy_MeV_u=CARBON_MeV_u[2]), "layer 0 was delivered with 221.45 MeV/u, but has 216.37"),
        (
            dataclasses.replace(plan, fields=(dataclasses.replace(planned, layers=(first,)),)),
            "its 3 spots are not the 2 of the plan",
        ),
    ):
        with pytest.raises(RecordError, match=match):
            continuation_plan(record, changed)


def test_header_that_says_nonsense(tmp_path: Path):
    _, record = small(tmp_path)
    for continues in ({}, {"number": "x", "plan_sha256": ""}, [1], {"number": 1}):
        header = {**record.fields[0].header, "continues": continues or {"no": 1}}
        broken = dataclasses.replace(record, fields=(dataclasses.replace(record.fields[0], header=header),))
        refused([broken], "truncated or altered")
