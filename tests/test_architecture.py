"""What import-linter cannot draw: the wall around compiled code, and the map of the house."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.places import ROOT

SOURCE = ROOT / "src"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = (*FUNCTIONS, ast.ClassDef)

ALLOWED = {"__future__", "collections", "dataclasses", "enum", "math", "typing", "numpy"}
"""What a module with kernels, and any module that it imports, may use besides others of its kind."""
EXCEPTIONS = {("spotline.random", "scipy")}
"""Tables that are made once, while the module is imported."""
FROZEN = "public, and its keywords are frozen (tests/outside)"
VERB = "the options of a verb, which are frozen (tests/outside)"
MOST_FOLDERS = 16
"""At the top of the package: a newcomer reads them all."""
MOST_PARAMETERS = 8
"""Of a function or constructor; more are carried by a value that names them."""
MANY_PARAMETERS = {
    "spotline.campaign.run.run_campaign": FROZEN,
    "spotline.delivery.run.deliver": FROZEN,
    "spotline.delivery.resume.resume": FROZEN,
    "spotline.dose.engine.reconstruct.reconstruct": FROZEN,
    "spotline.faces.cli.library.build": VERB,
    "spotline.faces.cli.campaign.campaign": VERB,
    "spotline.faces.cli.deliver.deliver": VERB,
    "spotline.faces.cli.dose.dose": VERB,
    "spotline.faces.cli.gamma.gamma": VERB,
    "spotline.faces.cli.plan.cube": VERB,
    "spotline.faces.cli.prepare.prepare": VERB,
    "spotline.dose.evaluation.gamma.gamma_index": "its criteria, by their usual names",
}
"""Those that have more, and why."""
PLUMBING = {"spotline.jit"}
"""The decorator itself, which has to know Numba."""


def imports_of(path: Path) -> set[str]:
    """Modules that a module imports when it is imported itself, by their full names."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            # `from spotline.control import interlocks` names a module, or something in one.
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in submodules if name in MODULES}
            names |= known or {node.module}
    return names


def is_kernel(node: ast.AST) -> bool:
    """Whether it is a function that is decorated with `kernel`."""
    return isinstance(node, FUNCTIONS) and any(
        isinstance(name, ast.Name) and name.id == "kernel" for name in node.decorator_list
    )


def has_kernels(path: Path) -> bool:
    """Whether a module decorates a function with `kernel`."""
    return any(is_kernel(node) for node in ast.parse(path.read_text(encoding="utf-8")).body)


MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def test_compiled_modules_import_only_numpy_math_and_each_other():
    imports = {name: imports_of(path) for name, path in MODULES.items()}
    todo = {name for name, path in MODULES.items() if has_kernels(path)}
    assert todo
    checked: set[str] = set()
    strangers = []
    while todo:
        name = todo.pop()
        checked.add(name)
        for used in imports[name]:
            if used in MODULES:
                todo |= {used} - checked - PLUMBING
            elif used.split(".")[0] not in ALLOWED and (name, used.split(".")[0]) not in EXCEPTIONS:
                strangers.append(f"{name} imports {used}")
    assert not strangers


BESIDE = {
    "src": set(),
    "examples": set(),
    "tools": {"tools"},
    "tests/lines": {"tests", "tools"},
    "verification": {"verification", "tests", "tools"},
    "benchmarks": {"benchmarks", "tests", "verification"},
}
"""What a folder may import of those beside the package.  What is shipped knows none of them, and tools that
write pages need no tests."""


@pytest.mark.parametrize("folder", BESIDE)
def test_who_may_know_what_stands_beside_the_package(folder: str):
    strangers = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            used += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in used:
                room = name.split(".")[0]
                if room in {"tools", "tests", "benchmarks", "verification"} - BESIDE[folder]:
                    strangers.append(f"{path.relative_to(ROOT).as_posix()}:{node.lineno} imports {name}")
    assert not strangers


def parameters_of(path: Path, module: str) -> dict[str, int]:
    """Number of parameters of every function and method that is not compiled, by its full name."""
    found: dict[str, int] = {}

    def walk(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = f"{inside}.{child.name}" if isinstance(child, NAMED) else inside
            if isinstance(child, FUNCTIONS) and not is_kernel(child):
                arguments = child.args
                names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
                found[name] = len(names) - (names[:1] in (["self"], ["cls"]))
            walk(child, name)

    walk(ast.parse(path.read_text(encoding="utf-8")), module)
    return found


def test_no_function_has_too_many_parameters():
    found = {name: n for module, path in MODULES.items() for name, n in parameters_of(path, module).items()}
    many = {name: n for name, n in found.items() if n > MOST_PARAMETERS}
    unexplained = {name: n for name, n in many.items() if name not in MANY_PARAMETERS}
    assert not unexplained, "give them a value that names what they carry"
    assert set(MANY_PARAMETERS) <= set(many), "has become short, or moved: take it off the list"


def packages() -> dict[str, Path]:
    """Packages of the source by their folder, data folders left out."""
    folders = {path.parent for path in SOURCE.rglob("*.py")} - {SOURCE}
    return {folder.relative_to(SOURCE).as_posix(): folder for folder in sorted(folders)}


def test_there_are_few_folders_at_the_top():
    folders = [path.name for path in (SOURCE / "spotline").iterdir() if path.is_dir() and any(path.iterdir())]
    assert len(set(folders) - {"__pycache__"}) <= MOST_FOLDERS, sorted(folders)


def test_every_package_says_what_it_is_for_and_who_knows_whom():
    silent = []
    for name, folder in packages().items():
        init = folder / "__init__.py"
        text = (
            ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) if init.is_file() else ""
        ) or ""
        if not text:
            silent.append(f"{name}: has no docstring")
        elif name != "spotline" and not (
            re.search(r"\bMay\sknow\b", text) and re.search(r"\b[Kk]nown\sto\b", text)
        ):
            silent.append(f"{name}: does not say what it 'May know' and who it is 'Known to'")
    assert not silent
