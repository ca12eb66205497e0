"""The interlock register: latching, the first cause, resets, and the way into files and back."""

from __future__ import annotations

import json
import math
import random

import pytest

from spotline.control import interlocks
from spotline.control.register import InterlockRegister, Latched
from spotline.errors import OptionError, RecordError


def latched() -> InterlockRegister:
    """Cold gas in BOX1 first, then the couch, twice."""
    register = InterlockRegister()
    register.latch(interlocks.TEMPERATURE_1, 15.0, 16.0, 1_000, 2)
    register.latch(interlocks.COUCH, 1.0, 0.0, 2_000, 2)
    register.latch(interlocks.TEMPERATURE_1, 3.0, 16.0, 3_000, 2)
    return register


def test_a_new_register_lets_beam_be_requested():
    assert InterlockRegister().is_clear
    assert InterlockRegister().first is None


def test_causes_stay_in_the_order_in_which_they_came_with_their_first_values():
    register = latched()
    assert not register.is_clear
    assert register.first == Latched(
        cause=interlocks.TEMPERATURE_1, value=15.0, limit=16.0, time_us=1_000, spill=2
    )
    assert [row.cause for row in register.latched] == [interlocks.TEMPERATURE_1, interlocks.COUCH]


def test_a_cause_that_is_not_in_the_table_cannot_be_latched():
    with pytest.raises(ValueError, match="999"):
        InterlockRegister().latch(999, 0.0, 0.0, 0, 0)


def test_a_reset_releases_everything_and_is_remembered():
    register = latched()
    before = register.latched
    reset = register.reset(" M. Curie ", "heating repaired", 9_000)
    assert register.is_clear
    assert register.resets == (reset,)
    assert (reset.identity, reset.reason, reset.time_us) == ("M. Curie", "heating repaired", 9_000)
    assert reset.released == before
    register.latch(interlocks.COUCH, 1.0, 0.0, 10_000, 3)
    assert register.first is not None
    assert register.first.cause == interlocks.COUCH
    register.reset("M. Curie", "couch locked", 11_000)
    assert len(register.resets) == 2


@pytest.mark.parametrize(("identity", "reason"), [("", "why"), ("  ", "why"), ("who", ""), ("who", "\t")])
def test_nobody_resets_without_identity_and_reason(identity: str, reason: str):
    register = latched()
    with pytest.raises(OptionError, match=r"reason|identity"):
        register.reset(identity, reason, 0)
    assert len(register.latched) == 2
    assert not register.resets


def test_nothing_is_released_while_a_condition_persists():
    register = latched()
    with pytest.raises(OptionError, match="gas temperature BOX1 persists"):
        register.reset("M. Curie", "impatience", 0, {interlocks.TEMPERATURE_1})
    assert len(register.latched) == 2
    assert not register.resets


def test_json_and_back():
    register = latched()
    register.reset("M. Curie", "heating repaired", 9_000)
    register.latch(interlocks.INT_RATIO, math.inf, 0.1, 12_000, 4)
    register.latch(interlocks.POSITION_X, math.nan, 2.0, 12_000, 4)
    assert [row.value for row in register.latched] == [None, None], "JSON has no such numbers"
    assert InterlockRegister.from_json(register.to_json()) == register
    assert json.loads(register.to_json())["resets"][0]["released"][1]["cause"] == interlocks.COUCH


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"latched": [{"cause": 1}]}', '{"latched": 3}', '{"latched": [999]}', b"\xff\xfe"],
)
def test_what_is_no_register_is_refused(content: bytes | str):
    with pytest.raises(RecordError, match="interlock register"):
        InterlockRegister.from_json(content)


def test_an_unknown_cause_in_a_file_is_refused():
    content = latched().to_json().replace(b'"cause":50', b'"cause":999')
    with pytest.raises(RecordError, match="999"):
        InterlockRegister.from_json(content)


def test_mutated_json_is_a_register_or_one_error():
    content, generator, refused = latched().to_json(), random.Random(5), 0
    for _ in range(5_000):
        mutated = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            mutated[generator.randrange(len(mutated))] = generator.randrange(256)
        try:
            register = InterlockRegister.from_json(bytes(mutated))
        except RecordError:
            refused += 1
        else:
            assert all(row.cause in interlocks.CAUSES for row in register.latched)
    assert 2_000 < refused < 5_000
