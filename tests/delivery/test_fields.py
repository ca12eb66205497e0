"""Plans of several fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline import BeamLine, PlanError, Record
from spotline.plan import Plan
from tests.delivery.deliveries import astray_in, deliver, hashes
from tests.treatment.plans import CARBON_MeV_u, field, layer, plan_of, proton_field, square

THREE = plan_of(
    field(square(3, 4.0, 1e5), number=2),
    proton_field(square(2, 4.0, 2e7, energy_MeV_u=150.43), number=11),
    field(layer(), layer(index=1, energy_MeV_u=CARBON_MeV_u[1]), number=5),
)


@pytest.fixture(scope="module")
def three(line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Record:
    return deliver(THREE, line, tmp_path_factory.mktemp("three"), seed=8)


def test_one_folder_per_field_in_the_order_of_the_plan(three: Record):
    assert [f.path.name for f in three.fields] == ["field-02", "field-11", "field-05"]
    assert [f.number for f in three.fields] == [2, 11, 5]
    assert [f.header["ion"] for f in three.fields] == ["carbon", "proton", "carbon"]
    assert [len(f.spots) for f in three.fields] == [9, 4, 2]
    assert [len(f.spills) for f in three.fields] == [1, 1, 2]


def test_totals(three: Record):
    summary = three.summary
    assert summary["status"] == "complete"
    assert (summary["spots_planned"], summary["spots_delivered"], summary["spills"]) == (15, 15, 4)
    assert summary["particles_planned"] == 9e5 + 8e7 + 1e5
    assert summary["particles_delivered"] == pytest.approx(
        sum(f.spots["particles"].sum() for f in three.fields), rel=1e-12
    )
    assert [f["field"] for f in summary["fields"]] == [2, 11, 5]
    assert summary["beam_on_s"] == pytest.approx(sum(f["beam_on_s"] for f in summary["fields"]))


@pytest.mark.parametrize("number", [2, 11, 5])
def test_a_field_alone_is_delivered_as_with_the_others(
    number: int, three: Record, line: BeamLine, tmp_path: Path
):
    alone = deliver(THREE, line, tmp_path, field=number, seed=8)
    assert [f.number for f in alone.fields] == [number]
    assert alone.summary["status"] == "complete"
    folder = f"field-{number:02d}"
    assert hashes(tmp_path / folder) == hashes(three.path / folder)


def test_fields_have_their_own_random_numbers(line: BeamLine, tmp_path: Path):
    """The same field twice: same prescription, other noise."""
    twice = plan_of(field(square(3, 4.0, 1e5)), field(square(3, 4.0, 1e5), number=2))
    one, other = deliver(twice, line, tmp_path).fields
    np.testing.assert_array_equal(one.spots["particles_planned"], other.spots["particles_planned"])
    assert (one.spots["x_mm"] != other.spots["x_mm"]).any()


def test_after_an_interlock_the_next_field_waits(line: BeamLine, tmp_path: Path):
    """Only the second field of three meets the fault."""

    def make_room(treatment):
        spills = range(1, 100) if treatment.field.number == 11 else ()
        return astray_in(line, spills, spill_offset_mm=60.0)(treatment)

    record = deliver(THREE, line, tmp_path, make_room=make_room)
    assert record.summary["status"] == "interlock"
    assert [f["status"] for f in record.summary["fields"]] == ["complete", "interlock"]
    assert [f.number for f in record.fields] == [2, 11]
    assert [p.name for p in (tmp_path / "field-05").iterdir()] == ["DDS_treatment.h5"], "as it was prepared"
    # What was never begun is still planned.
    assert record.summary["spots_planned"] == 15
    assert record.summary["particles_planned"] == 9e5 + 8e7 + 1e5
    assert record.summary["spots_delivered"] == 9


def test_no_such_field(line: BeamLine, tmp_path: Path):
    plan: Plan = THREE
    with pytest.raises(PlanError, match="no field has beam number 1; the plan has 2, 11, 5"):
        deliver(plan, line, tmp_path / "out", field=1)
    assert not (tmp_path / "out").exists()
