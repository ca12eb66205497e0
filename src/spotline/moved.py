"""Old names of modules: programs that were written before the rooms were laid out anew still find them.

Importing an old name gives the module under its new one, with a `DeprecationWarning` that says which.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "beamline": "machine",
    "beamline.gas": "physics.gas",
    "beamline.moves": "moves",
    "beamline.tables": "tables",
    "biology": "dose.rbe",
    "cli": "faces.cli",
    "console": "planning.prepared",
    "delivery.credit": "delivery.unconfirmed",
    "delivery.keeper": "delivery.dose_recovery",
    "dose.compare": "dose.evaluation.compare",
    "dose.dvh": "dose.evaluation.dvh",
    "dose.engine.beside": "dose.engine.sub_ray_depths",
    "dose.engine.surroundings": "dose.engine.water_and_grid",
    "dose.gamma": "dose.evaluation.gamma",
    "engine": "dose.engine",
    "engine.beside": "dose.engine.sub_ray_depths",
    "engine.cubes": "planning.cubes",
    "engine.following": "dose.online",
    "engine.surroundings": "dose.engine.water_and_grid",
    "library": "machine.library",
    "plan.continuation": "planning.continuation",
    "plan.overview": "planning.overview",
    "plan.phantom_plan": "planning.phantom_plan",
    "plan.qa_fields": "planning.qa_fields",
    "plan.read": "planning.read",
    "plan.trip98": "planning.trip98",
    "preparation": "treatment",
    "preparation.wording": "wording",
    "record.hdf5": "hdf5",
    "record.simulated_disk": "sim.disk",
    "record.storage": "storage",
    "record.treatment_file": "treatment.treatment_file",
    "report": "faces.report",
}
"""New names by the old ones, below ``spotline``; modules in a package that moved go with it."""


def new_name(name: str) -> str | None:
    """The name that a module has now; None if it was never another.

    Parameters
    ----------
    name : str
        Old name, from ``spotline`` on.
    """
    parts = name.split(".")[1:]
    for n in range(len(parts), 0, -1):
        moved = MOVED.get(".".join(parts[:n]))
        if moved is not None:
            return ".".join(["spotline", moved, *parts[n:]])
    return None


class _Alias(importlib.abc.Loader):
    """Puts a module into the place of its old name."""

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        new = new_name(old)
        assert new is not None
        sys.modules[old] = importlib.import_module(new)
        warnings.warn(f"{old} is {new} now", DeprecationWarning, stacklevel=2)


class _Finder(importlib.abc.MetaPathFinder):
    """Asked first: a package has a path under its old name too, where its modules would be found again."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("spotline.") or new_name(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Alias(), is_package=True)


def install() -> None:
    """Have old names found; a second time changes nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
