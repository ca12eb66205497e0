"""What fails in a run is a pure function of the setting and the number of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from spotline import OptionError, SpotlineError, Treatment
from spotline.campaign.setting import Setting, choose, dead_channel, draw_run, may_meet
from spotline.sim.faults import KINDS, Fault


def test_words_and_names():
    assert choose("all") == (tuple(KINDS), ())
    assert choose("none") == ((), ())
    first, second = list(KINDS)[:2]
    assert choose(f"{first}, {second}") == ((first, second), ())
    fault = Fault("int2", "dead")
    assert choose([fault]) == ((), (fault,))


def test_file(tmp_path: Path):
    path = tmp_path / "dead.toml"
    path.write_text('[[fault]]\ndevice = "int2"\nmode = "dead"\nspill = 2\nat_us = 1000\n', encoding="utf-8")
    assert choose(path) == choose(str(path)) == ((), (Fault("int2", "dead", spill=2, at_us=1000),))


@pytest.mark.parametrize("name", ["int2.deaf", "everything", "", "int2.dead,"])
def test_unknown_kind(name: str):
    with pytest.raises(OptionError, match=r"is no kind of fault and no \.toml file; did you mean"):
        choose(name)


def test_missing_file(tmp_path: Path):
    with pytest.raises(SpotlineError, match=r"none\.toml"):
        choose(tmp_path / "none.toml")


def test_drawn_again_the_same(treatment: Treatment):
    setting = Setting(treatment, 5, tuple(KINDS), pairs=True)
    again = Setting(treatment, 5, tuple(KINDS), pairs=True)
    other = Setting(treatment, 6, tuple(KINDS), pairs=True)
    runs = range(30)
    assert [draw_run(setting, k) for k in runs] == [draw_run(again, k) for k in runs]
    assert all(draw_run(setting, k) != draw_run(other, k) for k in runs)
    assert len({draw_run(setting, k).delivery_seed for k in runs}) == 30


def test_kinds_come_in_turn(treatment: Treatment):
    setting = Setting(treatment, 0, tuple(KINDS))
    drawn = [draw_run(setting, k) for k in range(2 * len(KINDS))]
    assert all(len(run.faults) == 1 for run in drawn)
    assert Counter(run.faults[0].kind for run in drawn) == dict.fromkeys(KINDS, 2)


def test_pairs_have_at_most_one_dead_channel(treatment: Treatment):
    setting = Setting(treatment, 0, tuple(KINDS), pairs=True)
    for number in range(3 * len(KINDS)):
        first, second = (fault.kind for fault in draw_run(setting, number).faults)
        assert may_meet(first, second)
        assert len({dead_channel(first), dead_channel(second)} - {None}) <= 1


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        ("int1.gain", "int1.noise", True),
        ("int1.gain", "int2.gain", False),
        ("int1.gain", "int1.gain", False),
        ("int1.gain", "beam.spike", True),
        ("int1.gain", "box2.leak", False),
        ("int1.gain", "high_voltage1.sag", True),
        ("int2.dead", "sensor_pressure1.offset", False),
        ("strip_x.dead", "pixel.dead", False),
        ("beam.shift_x", "chopper.stuck_open", True),
    ],
)
def test_who_may_meet(first: str, second: str, may: bool):
    assert may_meet(first, second) == may_meet(second, first) == may


def test_fixed_faults_are_the_same_in_every_run(treatment: Treatment):
    faults = (Fault("int2", "dead"),)
    setting = replace(Setting(treatment, 0), fixed=faults)
    assert {draw_run(setting, k).faults for k in range(5)} == {faults}
