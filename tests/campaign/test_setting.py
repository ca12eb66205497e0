"""What fails in a run is a pure function of the setting and the number of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from spotline import OptionError, SpotlineError, Treatment
from spotline.campaign.setting import Setting, choose, dead_channels, draw_run, may_meet
from spotline.machine import load_beamline
from spotline.sim.faults import KINDS, Fault
from tests.lines.monitors import one_box, without_pixels

LINE = load_beamline("cnao-h")


def test_words_and_names():
    assert choose("all", LINE) == (tuple(KINDS), ())
    assert choose("none", LINE) == ((), ())
    first, second = list(KINDS)[:2]
    assert choose(f"{first}, {second}", LINE) == ((first, second), ())
    fault = Fault("int2", "dead")
    assert choose([fault], LINE) == ((), (fault,))


def test_file(tmp_path: Path):
    path = tmp_path / "dead.toml"
    path.write_text('[[fault]]\ndevice = "int2"\nmode = "dead"\nspill = 2\nat_us = 1000\n', encoding="utf-8")
    assert (
        choose(path, LINE) == choose(str(path), LINE) == ((), (Fault("int2", "dead", spill=2, at_us=1000),))
    )


@pytest.mark.parametrize("name", ["int2.deaf", "everything", "", "int2.dead,"])
def test_unknown_kind(name: str):
    with pytest.raises(OptionError, match=r"is no kind of fault and no \.toml file; did you mean"):
        choose(name, LINE)


def test_only_what_the_line_has_can_fail(tmp_path: Path):
    """Neither what is drawn nor what is asked for strikes a monitor or a box that is not there."""
    line = load_beamline(without_pixels(tmp_path / "line"))
    kinds, _ = choose("all", line)
    assert set(KINDS) - set(kinds) == {name for name, kind in KINDS.items() if kind.device == "pixel"}
    with pytest.raises(OptionError, match=r"pixel\.dead strikes a monitor with the role pixel, which no-"):
        choose("int1.dead, pixel.dead", line)
    with pytest.raises(SpotlineError, match=r"pixel\.dead strikes a monitor with the role pixel"):
        choose([Fault("pixel", "dead")], line)
    one = load_beamline(one_box(tmp_path / "one"))
    kinds, _ = choose("all", one)
    assert {KINDS[name].box for name in KINDS if name not in kinds} == {2}
    with pytest.raises(OptionError, match=r"box2\.leak strikes box 2, which one-box does not have"):
        choose("box2.leak", one)


def test_the_box_of_both_counts_is_two_dead_channels(tmp_path: Path):
    one = load_beamline(one_box(tmp_path / "one")).facts
    assert dead_channels("box1.leak", one) == {"int1", "int2"}
    assert not may_meet("box1.leak", "beam.low", one)
    assert may_meet("int1.dead", "beam.low", one)


def test_missing_file(tmp_path: Path):
    with pytest.raises(SpotlineError, match=r"none\.toml"):
        choose(tmp_path / "none.toml", LINE)


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
        first, *others = (fault.kind for fault in draw_run(setting, number).faults)
        assert len(others) == (0 if KINDS[first].is_common else 1)
        if not others:
            continue
        (second,) = others
        assert may_meet(first, second, LINE.facts)
        assert len(dead_channels(first, LINE.facts) | dead_channels(second, LINE.facts)) <= 1


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
    assert may_meet(first, second, LINE.facts) == may_meet(second, first, LINE.facts) == may


def test_fixed_faults_are_the_same_in_every_run(treatment: Treatment):
    faults = (Fault("int2", "dead"),)
    setting = replace(Setting(treatment, 0), fixed=faults)
    assert {draw_run(setting, k).faults for k in range(5)} == {faults}
