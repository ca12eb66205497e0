"""Values that are remembered find what the bounds do not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from spotline import BeamLine, Treatment, load_beamline, prepare, read_plan
from spotline.campaign.invariants import BEAM_OFF, EXCESS
from spotline.campaign.one import run_one
from spotline.campaign.setting import Setting
from spotline.machine.true_line import true_line_of
from spotline.sim import settings as truths
from spotline.sim.faults import KINDS
from tests.delivery.deliveries import TWO_LAYERS
from tests.lines.facts import with_facts
from verification.regression import (
    SEED,
    VALUES,
    Kind,
    Margins,
    Values,
    centre_percent,
    compare,
    margins_of,
    values_of,
)

KINDS_RUN = ("supervision.abort", "int2.dead")


@pytest.fixture(scope="module")
def remembered() -> Values:
    return msgspec.json.decode(VALUES.read_bytes(), type=Values)


@pytest.fixture(scope="module")
def treatment() -> Treatment:
    return prepare(read_plan(TWO_LAYERS), load_beamline("cnao-h"))


def on(treatment: Treatment, line: BeamLine) -> Treatment:
    """The same treatment in a room that is another; what is believed stays."""
    return prepare(treatment.plan, line)


def hold(treatment: Treatment, centre: float, then: Values) -> tuple[list[dict[str, Any]], list[str]]:
    """Make the runs of a few kinds again; rows, and what is not as it was."""
    setting = Setting(treatment, SEED, tuple(KINDS))
    rows = [run_one(setting, list(KINDS).index(name)) for name in KINDS_RUN]
    now = values_of(rows, treatment.fields[0].particles, centre)
    return rows, compare(now, {name: then.kinds[name] for name in KINDS_RUN}, margins_of(setting))


def test_the_file_has_every_kind_and_its_command(remembered: Values):
    assert set(remembered.kinds) == set(KINDS)
    assert remembered.seed == SEED
    assert remembered.command.startswith("python -m verification.regression --write ")


def test_the_same_runs_give_the_same(treatment: Treatment, remembered: Values):
    rows, differ = hold(treatment, remembered.centre_percent, remembered)
    assert not any(row.violations for row in rows)
    assert differ == []


def test_a_law_that_is_slower_by_200_us_keeps_its_bounds_and_is_found(
    treatment: Treatment, remembered: Values, monkeypatch: pytest.MonkeyPatch
):
    """A command to the chopper that comes 200 us later is the same as a law that gives it so late."""
    real = truths.plant_settings

    def slower(*given: Any) -> Any:
        plant, *others = real(*given)
        chopper = plant.chopper._replace(off_delay=plant.chopper.off_delay + 200)
        return plant._replace(chopper=chopper), *others

    monkeypatch.setattr(truths, "plant_settings", slower)
    rows, differ = hold(treatment, remembered.centre_percent, remembered)
    assert not any(row.violations for row in rows), "the bounds do not find it"
    late = [text for text in differ if "beam_off_us" in text]
    assert [text.split(":")[0] for text in late] == ["supervision.abort"]
    assert "is 450, was 250 (margin 50)" in late[0]


@pytest.mark.parametrize(
    "gains",
    [
        {"int1": 1.002 * 1.03},
        {"int1": 1.002 * 0.97},
        {"int1": 1.002 * 0.97, "int2": 0.999 * 0.97},
        {"int1": 1.002 * 1.03, "int2": 0.999 * 1.03},
    ],
    ids=["INT1 too much", "INT1 too little", "both too little", "both too much"],
)
def test_a_chamber_that_is_3_percent_off_keeps_the_bound_of_the_excess_and_is_found(
    treatment: Treatment, remembered: Values, gains: dict[str, float]
):
    changes = {f"simulation.chambers.{name}_gain": gain for name, gain in gains.items()}
    other = on(treatment, with_facts(treatment.beamline, changes))
    rows, differ = hold(other, remembered.centre_percent, remembered)
    # If one is off alone, the chambers are held against each other besides.
    assert not any(row.violations & (EXCESS | BEAM_OFF) for row in rows), "the bounds do not find it"
    fields = {text.split(":")[0] for text in differ if "field_" in text}
    assert fields == set(KINDS_RUN)


def test_margins_go_to_both_sides():
    then = {"a": Kind(1000.0, -0.01, 0.02, 250)}
    margins = Margins(excess=100.0)
    assert compare({"a": Kind(1100.0, 0.09, -0.08, 300)}, then, margins) == []
    for changed in (
        {"excess": 1101.0},
        {"excess": 899.0},
        {"field_low_percent": -0.12},
        {"field_high_percent": 0.13},
        {"beam_off_us": 301},
        {"beam_off_us": 199},
        {"beam_off_us": None},
    ):
        (text,) = compare({"a": msgspec.structs.replace(then["a"], **changed)}, then, margins)
        assert next(iter(changed)) in text
    assert compare({}, then, margins) == ["a: is missing; remember the values anew"]


def test_fields_lie_around_what_the_chamber_that_counts_most_makes_of_them(
    treatment: Treatment, remembered: Values
):
    centre = centre_percent(true_line_of(treatment.beamline))
    assert centre == pytest.approx(100.0 * (1.0 / 1.002 - 1.0))
    assert remembered.centre_percent == pytest.approx(centre, abs=1e-4)
    sound = run_one(Setting(treatment, 1), 0)
    assert 100.0 * sound.excess_field / treatment.fields[0].particles == pytest.approx(centre, abs=0.02)
