"""The control law has no place where the truth of a simulation could come in."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import typing
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import spotline.control
from spotline.control import memory
from spotline.control.memory import AxisSettings, IntegralLimits, LawSettings, LawState, SliceMemory

MODULES = [
    importlib.import_module(f"spotline.control.{info.name}")
    for info in pkgutil.iter_modules(spotline.control.__path__)
]

BOTH = {
    "x": "settings of either axis",
    "y": "settings of either axis",
    "slew_A_per_us": "nominal here, true there",
    "settling_us": "nominal here, true there",
    "x_current_A": "prescribed and read back here, true there",
    "y_current_A": "prescribed and read back here, true there",
}
"""Names that law and plant have in common although they mean different things."""


def functions(module: ModuleType) -> list[tuple[str, typing.Any]]:
    """Functions that a module defines itself, compiled ones as the plain function."""
    found = []
    for name, value in vars(module).items():
        plain = getattr(value, "py_func", value)
        if inspect.isfunction(plain) and plain.__module__ == module.__name__:
            found.append((name, plain))
    return found


def names_of_law() -> set[str]:
    tuples = (IntegralLimits, AxisSettings, LawSettings, SliceMemory, LawState)
    registers = (value for value in vars(memory).values() if isinstance(value, np.dtype) and value.names)
    return {name for t in tuples for name in t._fields} | {
        name for dtype in registers for name in dtype.names or ()
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_module_of_the_control_names_the_simulation(module: ModuleType):
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        assert not [name for name in names if name.startswith(("spotline.sim", "spotline.delivery"))]


def test_importing_the_control_does_not_import_the_simulation():
    names = ", ".join(module.__name__ for module in MODULES)
    code = f"import sys, {names}; print([m for m in sys.modules if m.startswith('spotline.sim')])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_function_takes_or_gives_anything_of_the_simulation(module: ModuleType):
    for name, function in functions(module):
        hints = typing.get_type_hints(function)
        missing = set(inspect.signature(function).parameters) - set(hints)
        assert not missing, f"{name} does not say what {missing} are"
        for argument, hint in hints.items():
            for part in (hint, *typing.get_args(hint)):
                home = getattr(part, "__module__", "") or ""
                assert not home.startswith("spotline.sim"), f"{name}: {argument}"


def test_registers_are_made_of_numbers_only():
    for name, value in vars(memory).items():
        if isinstance(value, np.dtype) and value.names:
            kinds = {value[field].kind for field in value.names}
            assert kinds <= {"i", "f"}, f"{name} could hold a reference"


def test_registers_and_settings_of_the_law_share_no_names_with_the_truth():
    """Read from the source: this folder does not import the simulation."""
    source = Path(spotline.control.__path__[0]).parent / "sim" / "plant.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    truth: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            truth |= {
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            for item in ast.walk(node.value):
                if isinstance(item, ast.Tuple) and isinstance(item.elts[0], ast.Constant):
                    truth.add(item.elts[0].value)
    assert {"ring_particles", "x_jitter_mm", "drift_ticks", "remainder"} <= truth, (
        "the source reads differently"
    )
    shared = names_of_law() & truth
    assert shared == set(BOTH), f"{shared ^ set(BOTH)}: a truth that the law should not have?"


def test_the_fields_of_registers_are_reachable_in_plain_python():
    """A record of NumPy has methods; a field of the same name is hidden when the kernels are not compiled."""
    hidden = {
        f"{name}.{field}"
        for name, dtype in vars(memory).items()
        if isinstance(dtype, np.dtype)
        for field in dtype.names or ()
        if hasattr(np.record, field) or hasattr(np.recarray, field)
    }
    assert not hidden
