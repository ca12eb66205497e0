"""Modules are found under the names that they had before."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator

import pytest

import spotline
from spotline.moved import MOVED, new_name
from tests.places import ROOT


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What one test imports under an old name, no other finds already there."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if new_name(name) is not None:
            del sys.modules[name]


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_name_gives_the_module(old: str):
    new = f"spotline.{MOVED[old]}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        module = importlib.import_module(f"spotline.{old}")
    assert str(said[-1].message) == f"spotline.{old} is {new} now"
    assert said[-1].category is DeprecationWarning
    assert module is importlib.import_module(new)
    assert module.__name__ == new


def test_modules_go_with_their_package():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from spotline.dose.engine.forward import DoseEngine  # type: ignore[import-not-found]
    assert DoseEngine is spotline.DoseEngine


def test_no_old_name_is_in_use():
    """An old name that a file has again would be that file, and the alias a lie."""
    for old in MOVED:
        path = ROOT / "src" / "spotline" / old.replace(".", "/")
        assert not path.is_dir(), old
        assert not path.with_suffix(".py").exists(), old


@pytest.mark.parametrize("name", ["spotline.no_such_room", "spotline.dose.engine.no_such_module"])
def test_what_never_was_is_not_found(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
