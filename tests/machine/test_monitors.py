"""Monitors and boxes as rows of the beam-line file, and the keys from before there were rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.control.interlocks import CAUSES, OF_BOX
from spotline.errors import BeamLineError, OptionError
from spotline.hdf5 import keys_of
from spotline.machine import BeamLine, load_beamline
from spotline.machine.geometry import isocentre_per, per_isocentre, position_at_mm, project_to_chamber_mm
from spotline.machine.monitors import ROLES
from spotline.machine.overview import figures_of
from tests.lines.edit import copy_line, edit
from tests.lines.monitors import (
    SECOND_STRIPS,
    more_strips,
    one_box,
    with_old_keys,
    without_pixels,
    without_strips_in_x,
)

INT2, STRIP_X = 'role = "int2" ', 'role = "strip_x" '


@pytest.fixture
def line() -> BeamLine:
    return load_beamline("cnao-h")


def test_roles_are_rows(line: BeamLine):
    facts = line.facts
    assert facts.roles == set(ROLES)
    assert [facts.box_number(role) for role in ROLES] == [1, 1, 1, 2, 2]
    strips = facts.monitor("strip_x")
    assert strips is not None
    assert (strips.name, strips.distance_mm, strips.width_mm) == ("StripX", 815.0, 128 * 1.65)
    assert facts.monitors_without_role == ()


def test_what_a_line_lacks(tmp_path: Path):
    facts = load_beamline(without_pixels(tmp_path / "line")).facts
    assert facts.monitor("pixel") is None
    assert (facts.box_number("pixel"), facts.pixels) == (0, (1, 1.0))
    assert np.isnan(position_at_mm(facts, None, "x", np.zeros(3))).all()
    facts = load_beamline(without_strips_in_x(tmp_path / "x")).facts
    assert facts.strips == (128, 1.65), "those of y"


def test_a_monitor_more(tmp_path: Path):
    line = load_beamline(more_strips(tmp_path / "line"))
    (more,) = line.facts.monitors_without_role
    assert (more.name, more.plane, more.box, more.channels) == ("Strip2X", "x", "BOX2", 96)
    assert line.facts.strips == (128, 1.65)


def test_one_box(tmp_path: Path):
    facts = load_beamline(one_box(tmp_path / "line")).facts
    assert [box.name for box in facts.boxes] == ["BOX1"]
    assert {facts.box_number(role) for role in ROLES} == {1}


REFUSED = (
    (INT2, "# ", "monitors[3].role: is missing; give INT2 a role of the control law"),
    (INT2, 'role = "int1" ', "monitors: 2 have the role int1; leave it to one of them"),
    (STRIP_X, 'role = "strip_y" ', "monitors[1].role: strip_y is for a strip chamber that measures y"),
    (STRIP_X, 'role = "pixel" ', "monitors[1].role: pixel is for a pixel chamber; give StripX another"),
    (STRIP_X, 'role = "stripx" ', "monitors[1].role: invalid enum value 'stripx'"),
    ('name = "INT2"', 'name = "INT1"', "monitors[3].name: 'INT1' stands there twice; rename one"),
    ('name = "BOX2" ', 'name = "BOX1" ', "boxes[1].name: 'BOX1' stands there twice; rename one"),
    ('name = "BOX2" ', 'name = "BOXB" ', "monitors[3].box: 'BOX2' is no box of the line"),
    ('plane = "y" ', "# ", "monitors[2].plane: is missing; say whether the strips measure x or y"),
    ("channels = 32 ", "# ", "monitors[4].channels: is missing; add the key"),
    (
        "distance_mm = 830.0",
        "distance_mm = 830.0\nchannels = 3",
        "monitors[0].channels: INT1 is an integral chamber, which has one channel; remove the key",
    ),
    (
        "distance_mm = 830.0",
        'distance_mm = 830.0\nplane = "x"',
        "monitors[0].plane: only a strip chamber measures one plane; remove the key",
    ),
    (
        "distance_mm = 830.0",
        "distance_mm = -830.0",
        "monitors[0].distance_mm: -830 mm is not upstream of the",
    ),
    ("distance_mm = 830.0", "distance_mm = 0.0", "monitors[0].distance_mm: 0 mm is not upstream of the"),
    (
        "distance_mm = 730.0",
        "distance_mm = 830.0",
        "monitors[3].distance_mm: the gap of INT2 begins at 832.765 mm, where that of INT1 is, which ends at",
    ),
    (
        "distance_mm = 830.0                     # [ASSUMED]\ngap_mm = 5.53 ",
        "distance_mm = 830.0                     # [ASSUMED]\ngap_mm = 5530.0 ",
        "monitors[0].gap_mm: a gap of 5530 mm about 830 mm does not fit between the last scanning magnet at",
    ),
    (
        '[[boxes]]\nname = "BOX2"',
        '[[boxes]]\nname = "BOX3"\nhigh_voltage_V = 400.0\n[[boxes]]\nname = "BOX2"',
        "boxes: there are 3, but interlocks and records know 2",
    ),
    (
        "\nint1_gain = ",
        "\ngains = { StripZ = 1.0 }\nint1_gain = ",
        "simulation.chambers.gains.StripZ: is no monitor without a role; there are none; remove the key",
    ),
    (
        "[geometry]\n",
        "[geometry]\nint1_to_isocentre_mm = 830.0\n",
        "geometry.int1_to_isocentre_mm: is a key of files from before there were [[monitors]]",
    ),
)


@pytest.mark.parametrize(("old", "new", "message"), REFUSED, ids=[case[2][:50] for case in REFUSED])
def test_rows_that_cannot_be(tmp_path: Path, old: str, new: str, message: str):
    toml = copy_line("cnao-h", tmp_path / "line")
    edit(toml, (old, new))
    with pytest.raises(BeamLineError) as refused:
        load_beamline(toml)
    assert message in str(refused.value)
    assert any(message in problem for problem in spotline.check_beamline(toml))


def without(name: str, folder: Path) -> str:
    """Why a line without a monitor is refused."""
    toml = copy_line("cnao-h", folder)
    text = toml.read_text(encoding="utf-8")
    begin = text.index(f'[[monitors]]\nname = "{name}"')
    toml.write_text(text[:begin] + text[text.index("\n\n", begin) + 2 :], encoding="utf-8")
    with pytest.raises(BeamLineError) as refused:
        load_beamline(toml)
    return str(refused.value)


@pytest.mark.parametrize("role", ["int1", "int2"])
def test_a_dose_needs_two_counts(tmp_path: Path, role: str):
    assert f"monitors: none has the role {role}, but a dose needs two independent counts" in without(
        role.upper(), tmp_path / "line"
    )


def test_a_position_must_be_measured(tmp_path: Path):
    toml = without_pixels(tmp_path / "line")
    edit(toml, (STRIP_X, "# "))
    with pytest.raises(
        BeamLineError, match="monitors: none measures the position in x; give the role strip_x"
    ):
        load_beamline(toml)


def test_strips_of_the_law_are_alike(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace("pitch_mm = 1.65", "pitch_mm = 1.7", 1), encoding="utf-8")
    with pytest.raises(BeamLineError, match="StripX and StripY differ in channels or pitch_mm"):
        load_beamline(toml)


# Keys from before there were rows


def test_old_keys_mean_the_same_line(line: BeamLine, tmp_path: Path):
    assert load_beamline(with_old_keys(tmp_path / "old")).facts == line.facts


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("strips = 128 ", "strips = 0 ", "chambers.strips: expected int >= 1; correct the value"),
        ("gap_mm = 5.53 ", "# ", "chambers.gap_mm: is missing; add the key"),
        (
            "int1_to_isocentre_mm = 830.0",
            "int1_to_isocentre_mm = 5500.0",
            "geometry.int1_to_isocentre_mm: 5500",
        ),
    ],
)
def test_what_is_wrong_is_told_by_the_key_of_the_file(tmp_path: Path, old: str, new: str, message: str):
    toml = with_old_keys(tmp_path / "old")
    edit(toml, (old, new))
    with pytest.raises(BeamLineError) as refused:
        load_beamline(toml)
    assert message in str(refused.value)


def test_change_rows_and_write_them(line: BeamLine, tmp_path: Path):
    changed = line.changed(
        {"monitors.StripX.distance_mm": 820.0, "boxes.BOX2.high_voltage_V": 401.0}, source="[Q]"
    )
    written = spotline.write_beamline(changed, tmp_path / "line")
    assert written.facts.monitors[1].distance_mm == 820.0
    assert [box.high_voltage_V for box in written.facts.boxes] == [400.0, 401.0]
    assert (
        "distance_mm = 820.0                     # [Q]" in (tmp_path / "line" / "beamline.toml").read_text()
    )


def test_change_by_an_old_key(line: BeamLine):
    """On a line with rows it means the rows; on one without, what stands there."""
    changed = line.changed(
        {"chambers.strip_pitch_mm": 1.7, "geometry.pixel_to_isocentre_mm": 700.0}, source="[Q]"
    )
    assert [m.pitch_mm for m in changed.facts.monitors] == [None, 1.7, 1.7, None, 6.6]
    assert changed.facts.monitors[4].distance_mm == 700.0


def test_change_a_line_with_old_keys(tmp_path: Path):
    old = load_beamline(with_old_keys(tmp_path / "old"))
    changed = old.changed({"geometry.int1_to_isocentre_mm": 840.0}, source="[Q]")
    assert changed.facts.monitors[0].distance_mm == 840.0
    with pytest.raises(
        OptionError, match=r"monitors\.INT1\.distance_mm: the file describes its monitors with keys"
    ):
        old.changed({"monitors.INT1.distance_mm": 840.0}, source="[Q]")


# What hangs on them


def test_causes_name_roles_and_boxes_that_there_are():
    for cause in CAUSES.values():
        assert set(cause.roles) <= set(ROLES), cause.name
        assert cause.box in (0, 1, 2)
    assert sorted(number for _, number in OF_BOX) == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("write", "gone"),
    [
        (without_pixels, {6, 7, 12, 13, 16, 34}),
        (without_strips_in_x, {4, 12, 14}),
        (one_box, {23, 26, 27}),
        (more_strips, set()),
    ],
)
def test_causes_that_vanish(tmp_path: Path, write: Callable[[Path], Path], gone: set[int]):
    facts = load_beamline(write(tmp_path / "line")).facts
    on = {code for code, cause in CAUSES.items() if cause.is_on(facts.roles, len(facts.boxes))}
    assert set(CAUSES) - on == gone


def test_show_lists_the_rows(tmp_path: Path):
    summary = keys_of(figures_of(load_beamline(more_strips(tmp_path / "line"))))
    assert [row["name"] for row in summary["monitors"]] == [
        "INT1",
        "StripX",
        "StripY",
        "INT2",
        "PIX",
        "Strip2X",
    ]
    assert [row["name"] for row in summary["boxes"]] == ["BOX1", "BOX2"]
    assert "Strip2X" in SECOND_STRIPS


def test_the_projection_is_that_of_straight_rays():
    """From a source 6 m upstream, 1.5 m upstream of the isocentre: three quarters."""
    assert per_isocentre(6000.0, 1500.0) == 0.75
    assert isocentre_per(6000.0, 1500.0) == pytest.approx(4.0 / 3.0)
    np.testing.assert_allclose(project_to_chamber_mm([4.0, -8.0], 6000.0, 1500.0), [3.0, -6.0])
    distances_mm = np.array([0.0, 1500.0, -1500.0])
    np.testing.assert_allclose(per_isocentre(6000.0, distances_mm), [1.0, 0.75, 1.25])
