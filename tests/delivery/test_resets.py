"""After a stop: an operator resets, and a field goes on with what is left; or gives it up."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.control import interlocks
from spotline.control.interlocks import STOP
from spotline.delivery.progress import Command, Order
from spotline.record import journal
from spotline.record.recovered import read_state
from spotline.storage import Disk
from spotline.treatment.counts import convert_counts
from spotline.treatment.treatment_file import read_treatment_file
from tests.delivery.overseen import (
    RESET,
    SAID,
    at,
    changed,
    delivered_counts,
    events,
    latched,
    prescribed_counts,
    state,
)
from tests.delivery.scripted_room import LINE, TREATMENT, CYCLE_us, ScriptedRoom, delivered
from tests.readings import good_but


def test_an_operator_resets_and_the_treatment_goes_on_with_what_is_left(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert room.spots_of == [5, 2, 5]
    assert (delivered_counts(tmp_path, 3) == prescribed_counts(tmp_path)).all()
    assert events(outcome)[4:8] == [
        "interlock or operator stops",
        "operator resets",
        "all checks passed",
        "supervision acknowledges",
    ]
    (reset,) = outcome.register.resets
    assert (reset.identity, reset.reason) == ("M. Curie", "repaired")
    assert [row.cause for row in reset.released] == [interlocks.INT_RATIO]
    assert outcome.register.is_clear


def test_after_a_reset_the_checks_are_made_again_but_counts_stay(tmp_path: Path):
    """Gas that has changed by half a percent meanwhile changes no prescription."""
    room = ScriptedRoom(
        changed(lambda now_us: now_us > CYCLE_us, pressure1_Pa=101325.0 * 1.005),
        trips={1: (3, interlocks.INT_RATIO, STOP)},
    )
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert read_treatment_file(tmp_path).header.gas_factors == (1.0, 1.0)
    expected = convert_counts(TREATMENT, (1.0, 1.0), LINE)
    assert (prescribed_counts(tmp_path) == [s.int1_counts for s in expected.slices]).all()


def test_a_reset_is_refused_while_the_condition_persists(tmp_path: Path):
    room = ScriptedRoom(changed(lambda now_us: now_us >= CYCLE_us, temperature1_C=30.0))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert (state(outcome), outcome.register.resets) == ("interrupted", ())
    assert interlocks.TEMPERATURE_1 in latched(outcome)
    assert len(room.spots_of) == 1


def test_a_reset_after_failed_checks_converts_with_the_gas_that_is_good(tmp_path: Path):
    room = ScriptedRoom(lambda now_us: good_but(pressure1_Pa=1e5 if now_us else 8e4))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert outcome.complete
    assert read_treatment_file(tmp_path).header.gas_factors == pytest.approx([1e5 / 101325, 1.0])


def test_background_that_stays_inhibits_again(tmp_path: Path):
    room = ScriptedRoom(background=(11.0, 0.0))
    outcome = delivered(room, tmp_path, orders=at(("interrupted", RESET)))
    assert (state(outcome), latched(outcome)) == ("interrupted", [interlocks.BACKGROUND])
    assert len(outcome.register.resets) == 1
    assert len(outcome.interlocks_without_beam) == 2


def test_an_operator_gives_the_rest_up(tmp_path: Path):
    room = ScriptedRoom(trips={1: (3, interlocks.INT_RATIO, STOP)})
    outcome = delivered(room, tmp_path, orders=at(("interrupted", Order(Command.CLOSE, *SAID))))
    assert (outcome.complete, state(outcome)) == (False, "post treatment")
    assert latched(outcome) == [interlocks.INT_RATIO], "closing resets nothing"


class LosesSpills(Disk):
    """A disk that takes everything but spill files."""

    def publish(self, content: bytes, path: Path, *, is_new: bool = False) -> None:
        if path.parent.name == "spills":
            raise OSError(5, "Input/output error", str(path))
        super().publish(content, path, is_new=is_new)


def test_no_spill_follows_one_whose_file_is_lost(tmp_path: Path):
    """The journal has it, and the file must be made of the journal first: by `resume`."""
    room = ScriptedRoom()
    outcome = delivered(room, tmp_path, disk=LosesSpills(), orders=at(("interrupted", RESET)))
    assert (outcome.complete, outcome.spills, len(room.spills)) == (False, 1, 1)
    assert latched(outcome) == [interlocks.RECORD]
    assert [reset.identity for reset in outcome.register.resets] == ["M. Curie"]
    assert [entry.kind for entry in read_state(tmp_path).open_spill][-1] == journal.OVER
