"""What memory boards hold, by its hash."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.control.memory import LawSettings, SliceMemory
from spotline.room import boards_sha256
from tests.control.bench import SETTINGS, spots

MEMORY = spots([1000, 2000])._replace(x_sd_mm=2.0, y_sd_mm=2.5)


NESTED = ("integral", "x", "y", "ring")
"""Settings that are tuples of settings."""


def copied(memory: SliceMemory) -> SliceMemory:
    return SliceMemory._make(v.copy() if isinstance(v, np.ndarray) else v for v in memory)


def test_the_same_content_has_the_same_hash():
    assert boards_sha256(SETTINGS, copied(MEMORY)) == boards_sha256(SETTINGS, MEMORY)
    assert len(boards_sha256(SETTINGS, MEMORY)) == 64


@pytest.mark.parametrize("name", SliceMemory._fields)
def test_any_bit_of_the_spots_changes_it(name: str):
    memory = copied(MEMORY)
    value = getattr(memory, name)
    if isinstance(value, np.ndarray):
        value.view(np.uint8)[-1] ^= 1
    elif isinstance(value, float):
        memory = memory._replace(**{name: np.nextafter(value, 0.0)})
    else:
        memory = memory._replace(**{name: value ^ 1})
    assert boards_sha256(SETTINGS, memory) != boards_sha256(SETTINGS, MEMORY)


@pytest.mark.parametrize("name", [n for n in LawSettings._fields if n not in NESTED])
def test_any_setting_changes_it(name: str):
    settings = SETTINGS._replace(**{name: getattr(SETTINGS, name) + 1})
    assert boards_sha256(settings, MEMORY) != boards_sha256(SETTINGS, MEMORY)


@pytest.mark.parametrize("name", NESTED)
def test_settings_within_settings_change_it(name: str):
    inner = getattr(SETTINGS, name)
    for key, value in inner._asdict().items():
        settings = SETTINGS._replace(**{name: inner._replace(**{key: value + 1})})
        assert boards_sha256(settings, MEMORY) != boards_sha256(SETTINGS, MEMORY), key
