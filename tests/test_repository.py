"""What holds for the files of the repository, whatever is in them."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
LONGEST_FILE = 600


def repository_files() -> list[Path]:
    """All files that are, or would be, under version control."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        names = sorted(filter(None, listing.stdout.split("\0")))
        return [path for name in names if (path := ROOT / name).is_file()]
    # An exported tree without git: nothing in it is ignored but what tools made.
    made = {".venv", ".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    inside = {path: path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()}
    return sorted(
        path
        for path, name in inside.items()
        if not made & set(name.parts) and not name.parts[0].startswith(".venv-")
    )


def text_of(path: Path) -> str | None:
    """Content of a text file; None for a binary one."""
    content = path.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("path of somebody's machine", r"(?<![\w.>}*$\]-])/(?:work|root|tmp|home|Users|opt)/"),
        (
            "name of a package registry's host",
            r"pypi\.org|pythonhosted\.|npmjs\.|(?:deb|ftp)\.debian\.|anaconda\.org",
        ),
        ("mark of an unresolved merge", r"^(?:<{7}|>{7}|={7}$)"),
    ],
    ids=lambda value: value if " " in value else "",
)
def test_no_text_file_contains(what: str, pattern: str):
    found = []
    for path in repository_files():
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()[:100]}")
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module(path: Path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module says in its docstring what it is for"
    assert len(text.splitlines()) <= LONGEST_FILE, "split it: nobody reads files that long"


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("requirements.lock", ("build",)),
        ("requirements-dev.lock", ("dev", "build")),
        ("requirements-docs.lock", ("docs", "build")),
    ],
)
def test_lock_has_what_the_project_needs(lock: str, groups: tuple[str, ...]):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(entry for group in groups for entry in project["dependency-groups"][group]),
    ]
    locked = versions_in(lock)
    for entry in wanted:
        requirement = Requirement(entry)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{entry} is not in {lock}: run scripts/lock"
        assert requirement.specifier.contains(version), f"{version} does not do for {entry}: run scripts/lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-docs.lock"])
def test_what_runs_and_the_site_have_the_versions_that_are_tested(lock: str):
    tested, used = versions_in("requirements-dev.lock"), versions_in(lock)
    both = tested.keys() & used.keys()
    assert both
    assert {name: used[name] for name in both} == {name: tested[name] for name in both}, "run scripts/lock"


def test_the_program_needs_no_tools_of_its_developers():
    """Else an environment to run it could not grow into one to change it."""
    used, tested = versions_in("requirements.lock"), versions_in("requirements-dev.lock")
    assert used.keys() < tested.keys()
    assert not used.keys() & {"pytest", "mypy", "ruff", "distributed", "hypothesis"}


def versions_in(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.!+]+)", text, flags=re.MULTILINE))


def test_every_decision_record_has_its_parts():
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{record.name} has no '{part}'"


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    cited = re.search(
        r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    told = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cited is not None
    assert told is not None
    assert (cited[1], told[1]) == (version, version)
