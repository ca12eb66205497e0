"""Numbers that stand in records: one that changes makes old records say something else.

A cause that is added gets a number of its own, here too; none is ever given to another.
"""

from __future__ import annotations

from spotline.control import interlocks, memory
from spotline.control.interlocks import CAUSES

CODES = {
    1: "int difference",
    2: "int ratio",
    3: "intensity",
    4: "position x",
    5: "position y",
    6: "pixel position x",
    7: "pixel position y",
    8: "synchronization",
    9: "int rate",
    10: "current x",
    11: "current y",
    12: "strip against pixel x",
    13: "strip against pixel y",
    14: "strip charge x",
    15: "strip charge y",
    16: "pixel charge",
    17: "unsettled spots",
    18: "spot dose",
    19: "field dose",
    20: "gas temperature BOX1",
    26: "gas temperature BOX2",
    21: "gas pressure BOX1",
    27: "gas pressure BOX2",
    28: "gas density",
    22: "high voltage BOX1",
    23: "high voltage BOX2",
    24: "passive elements",
    29: "slow control silent",
    25: "background",
    30: "no counts",
    31: "beam when off",
    32: "integral data",
    33: "strip data",
    34: "pixel data",
    35: "current data",
    36: "memory boards",
    37: "width x",
    38: "width y",
    40: "missing event",
    41: "unexpected event",
    42: "recovery",
    43: "record",
    44: "room",
    45: "room answer",
    46: "too many spills",
    50: "couch",
    51: "operator",
    52: "supervision",
    55: "beam unseen",
    56: "intensity floor",
    57: "ring charge",
    58: "high voltage line",
    59: "gas line",
    53: "watchdog",
}


def test_causes_have_the_numbers_of_old_records():
    assert {code: cause.name for code, cause in CAUSES.items()} == CODES


def test_the_names_in_the_code_mean_the_same_numbers():
    named = {
        name: value for name, value in vars(interlocks).items() if name.isupper() and isinstance(value, int)
    }
    assert named["POSITION_X"] == 4
    assert named["STRIP_PIXEL_Y"] == 13
    assert named["HIGH_VOLTAGE_LINE"] == 58
    actions = {name: named.pop(name) for name in ("PAUSE", "STOP", "INHIBIT")}
    assert actions == {"PAUSE": 1, "STOP": 2, "INHIBIT": 3}
    assert sorted(value for value in named.values()) == sorted(CODES)


def test_commands_have_the_numbers_of_old_records():
    commands = (memory.COMMAND_CHOPPER_OPEN, memory.COMMAND_CHOPPER_CLOSE, memory.COMMAND_SPOT_COMPLETE)
    assert commands == (1, 2, 3)
