"""Data that do not arrive, lines of the interlock systems, and the computers themselves."""

from __future__ import annotations

from spotline.control.interlocks import CAUSES, WATCHDOG
from spotline.control.memory import (
    INPUT_COUCH,
    INPUT_HANG,
    INPUT_NO_INTEGRAL,
    INPUT_NO_PIXEL,
    INPUT_NO_STRIP,
    INPUT_OPERATOR,
    INPUT_SUPERVISION,
)
from spotline.sim.fast_loop import PRE_ROLL_us
from tests.sim.faults.effects.seen import Case, Check, ONSET_us, Seen


def told(bit: int) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        onset = (PRE_ROLL_us + ONSET_us) // 25
        assert not (sound.raw.inputs & bit).any()
        assert not (hit.raw.inputs[:onset] & bit).any()
        assert (hit.raw.inputs[onset : onset + 10] & bit).all()

    return check


def stops(bit: int, cause: str) -> Check:
    def check(sound: Seen, hit: Seen) -> None:
        told(bit)(sound, hit)
        first = hit.result.interlocks[0]
        assert CAUSES[first["cause"]].name == cause
        assert first["tick"] == hit.result.start_us + PRE_ROLL_us + ONSET_us

    return check


def hangs(sound: Seen, hit: Seen) -> None:
    told(INPUT_HANG)(sound, hit)
    assert WATCHDOG in hit.result.interlocks["cause"], "when it runs again"
    assert len(hit.room.history) == 1


def disk_full(sound: Seen, hit: Seen) -> None:
    assert not sound.disk.is_full
    assert hit.disk.is_full


CASES = {
    "integrals.lost": Case(told(INPUT_NO_INTEGRAL)),
    "strips.lost": Case(told(INPUT_NO_STRIP)),
    "pixel.lost": Case(told(INPUT_NO_PIXEL)),
    "couch.unlocked": Case(stops(INPUT_COUCH, "couch")),
    "operator.stop": Case(stops(INPUT_OPERATOR, "operator")),
    "supervision.abort": Case(stops(INPUT_SUPERVISION, "supervision")),
    "fast_control.hang": Case(hangs, run_us=200_000),
    "disk.full": Case(disk_full),
}
