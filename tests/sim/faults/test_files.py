"""Files of faults: what is written is read back, and whatever is wrong gives one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spotline
from spotline.errors import FaultError
from spotline.sim.faults import KINDS, Fault, draw, format_faults, read_faults, write_faults
from spotline.sim.faults.files import parse_faults
from tests.places import ROOT

EXAMPLES = sorted((ROOT / "faults").glob("*.toml"))


def test_what_is_written_is_read_back(tmp_path: Path):
    generator = np.random.default_rng(3)
    faults = tuple(draw(name, generator, 5) for name in KINDS for _ in range(3))
    write_faults(tmp_path / "faults.toml", faults)
    assert read_faults(tmp_path / "faults.toml") == faults
    marked = b"\xef\xbb\xbf" + (tmp_path / "faults.toml").read_bytes()
    (tmp_path / "marked.toml").write_bytes(marked)
    assert read_faults(tmp_path / "marked.toml") == faults


def test_the_package_offers_them():
    assert spotline.Fault is Fault
    assert spotline.read_faults is read_faults


def test_only_device_and_mode_are_needed():
    (fault,) = parse_faults(b'[[fault]]\ndevice = "int1"\nmode = "dead"\n', "f")
    assert fault == Fault("int1", "dead", None, 1, 0, None)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_shipped_examples_are_read_and_say_what_happens(path: Path):
    assert read_faults(path)
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_there_are_examples():
    assert len(EXAMPLES) > 10


DEAD = 'device = "int1"\nmode = "dead"\n'
SHIFT = 'device = "beam"\nmode = "shift_x"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: has no fault; add a table [[fault]]"),
        ("fault = []", "f: has no fault"),
        ("fault = 3", "f: has no fault"),
        ("[fault]\n" + DEAD, "f: has no fault"),
        ("[[fault", "f: is not valid TOML"),
        ("[[fault]]\n" + DEAD + "[[other]]\n", "f: 'other' is not a known key; faults are tables [[fault]]"),
        ("fault = [1]", "f: fault[0]: "),
        ('[[fault]]\nmode = "dead"', "f: fault[0]: device is missing; add the key"),
        (
            "[[fault]]\n" + DEAD + "when = 1",
            "f: fault[0]: 'when' is not a known key; the keys are device, mode",
        ),
        ("[[fault]]\n" + DEAD + 'spill = "one"', "f: fault[0]: spill: expected int"),
        ("[[fault]]\n" + DEAD + "at_us = 1.5", "f: fault[0]: at_us: expected int"),
        ("[[fault]]\n" + DEAD + "value = 1.0", "f: fault[0]: int1.dead takes no value; leave the key away"),
        ("[[fault]]\n" + DEAD + "spill = 0", "f: fault[0]: spill is 0; spills are counted from 1"),
        ("[[fault]]\n" + DEAD + "duration_us = 0", "f: fault[0]: duration_us is 0"),
        ("[[fault]]\n" + DEAD + f"at_us = {10**17}", "f: fault[0]: at_us is 1"),
        (
            "[[fault]]\n" + DEAD + "[[fault]]\n" + SHIFT,
            "f: fault[1]: value is missing; give -1000 to 1000 (mm)",
        ),
        ("[[fault]]\n" + SHIFT + "value = nan", "f: fault[0]: value is nan, but beam.shift_x takes"),
        ("[[fault]]\n" + SHIFT + "value = inf", "f: fault[0]: value is inf, but beam.shift_x takes"),
        ("[[fault]]\n" + SHIFT + "value = 1e4", "f: fault[0]: value is 10000, but beam.shift_x takes"),
        (
            '[[fault]]\ndevice = "pixel"\nmode = "dead_channel"\nvalue = 1.5',
            "f: fault[0]: value is 1.5; pixel.dead_channel takes a whole number",
        ),
        (
            '[[fault]]\ndevice = "in1"\nmode = "dead"',
            "f: fault[0]: 'in1.dead' is not a kind of fault; did you mean 'int1.dead'?",
        ),
        ('[[fault]]\ndevice = "moon"\nmode = "full"', "f: fault[0]: 'moon.full' is not a kind of fault; "),
    ],
)
def test_what_is_wrong_gives_one_clear_error(text: str, message: str):
    with pytest.raises(FaultError) as caught:
        parse_faults(text.encode(), "f")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(FaultError, match=r"absent\.toml: cannot be read \(No such file or directory\)"):
        read_faults(tmp_path / "absent.toml")
    with pytest.raises(FaultError, match="cannot be read"):
        read_faults(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(FaultError, match="byte 2 is not UTF-8 text"):
        read_faults(tmp_path / "latin.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(FaultError, match="larger than 1000000 bytes"):
        read_faults(tmp_path / "huge.toml")


def test_a_fault_that_cannot_be_is_not_written(tmp_path: Path):
    with pytest.raises(FaultError, match=r"fault\[0\]: 'a.b' is not a kind"):
        write_faults(tmp_path / "faults.toml", [Fault("a", "b")])
    assert not (tmp_path / "faults.toml").exists()


WORDS = (b"nan", b"-inf", b"1e999", b"9" * 5000, b"[[", b"]]", b"=", b'"', b"\n", b"\x00", b"\xff", b"{a=",
         b"true", b"1979-05-27", b"-", b"[" * 3000, b"\\u", b"'''", b"fault.fault = 1")  # fmt: skip


def mutated(content: bytes, generator: np.random.Generator) -> bytes:
    """Change a file in a few places, as a slip of the hand or a bad disk would."""
    for _ in range(generator.integers(1, 5)):
        first, past = sorted(generator.integers(0, len(content) + 1, 2).tolist())
        past = min(past, first + 30)
        match generator.integers(5):
            case 0:
                content = content[:first] + content[past:]
            case 1:
                content = content[:first] + content[first:past] * 2 + content[past:]
            case 2:
                word = WORDS[generator.integers(len(WORDS))]
                content = content[:first] + word + content[first:]
            case 3:
                content = content[:first] + bytes([generator.integers(256)]) + content[first + 1 :]
            case _:
                content = content[:past]
    return content


def test_5000_broken_files_give_this_error_only():
    generator = np.random.default_rng(11)
    sound = format_faults(draw(name, generator, 3) for name in list(KINDS)[::9]).encode()
    messages = []
    for _ in range(5000):
        try:
            for fault in parse_faults(mutated(sound, generator), "f"):
                assert fault.kind in KINDS
        except FaultError as error:
            messages.append(str(error))
    assert len(messages) > 2500
    assert not [message for message in messages if "\n" in message]
