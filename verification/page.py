"""Pages of figures: their sections, what they were measured with, and the files that they become."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from spotline.measurement import ResultSet, results_text
from verification.figures import plain, results_of, table

PACKAGES = ("spotline", "numpy", "numba", "scipy", "h5py")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A published figure, and what the simulation makes of it.

    Attributes
    ----------
    what : str
        The quantity.
    published : str
        The figure.
    source : str
        Where it stands.
    found : str
        What came out.
    verdict : Figure or str
        As of `judge`, or a word on why they cannot be held against each other.
    """

    what: str
    published: str
    source: str
    found: str
    verdict: str


@dataclass(slots=True)
class Section:
    """One part of a page.

    Attributes
    ----------
    name : str
        For the option ``--only``.
    title : str
        Heading.
    parts : list of str
        Paragraphs and tables.
    verdicts : list of Verdict
        For the table at the top of the page.
    """

    name: str
    title: str
    parts: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph; its lines are filled anew."""
        self.parts.append(fill(paragraph))

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[object]],
        made_with: str = "",
        *,
        keys: int | None = None,
    ) -> None:
        """Add a table, and below it the command and the seeds that make it."""
        self.parts.append(table(header, rows, keys=keys))
        if made_with:
            self.parts.append(f"<sub>`python -m verification.delivery --only {self.name}`; {made_with}</sub>")

    def markdown(self) -> list[str]:
        """The section as it stands on the page: its heading and its parts."""
        return [f"## {self.title}", *self.parts]


def fill(paragraph: str, width: int = 110) -> str:
    """Put the words of a paragraph into lines; a list item per line that begins with a bullet."""
    items = (
        re.split(r"\n\s*\* ", "\n" + paragraph.strip()) if paragraph.strip().startswith("* ") else [paragraph]
    )
    filled = []
    for item in items:
        words = item.split()
        if not words:
            continue
        lines = ["* " + words[0] if len(items) > 1 else words[0]]
        for word in words[1:]:
            if len(lines[-1]) + 1 + len(word) > width:
                lines.append(("  " if len(items) > 1 else "") + word)
            else:
                lines[-1] += " " + word
        filled.append("\n".join(lines))
    return "\n".join(filled)


def machine_class() -> str:
    """Kind of processor and number of cores, without names of hosts."""
    model = platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if found := re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE):
            model = found[1].strip()
    except OSError:
        pass
    return f"{os.cpu_count()}-core {model}, {platform.system()}"


def circumstances() -> str:
    """When, with which versions and on what kind of machine figures were made."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, Python {platform.python_version()}, {versions}, on a {machine_class()}"


def page_parser(prog: str, what: str) -> argparse.ArgumentParser:
    """Begin the options of a command that makes a page: where to write it."""
    parser = argparse.ArgumentParser(prog=prog, description=what)
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="Markdown file to write; by default print it"
    )
    return parser


def put_page(parts: Sequence[str], path: Path | None) -> None:
    """Write a page and, beside it, its figures as results; or print the page.

    Parameters
    ----------
    parts : sequence of str
        Headings, paragraphs and tables; empty ones are left out.
    path : Path or None
        Of the page; the results have the same name and end in ``.json``.
    """
    say("")
    text = "\n\n".join(part for part in parts if part) + "\n"
    if path is None:
        print(text, end="")
        return
    results = ResultSet(
        title=plain(text.partition("\n")[0].lstrip("# ")),
        command=command(sys.argv),
        program=f"spotline {version('spotline')}",
        date=datetime.now(UTC).date().isoformat(),
        results=tuple(results_of(parts)),
    )
    made = results_text(results)
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".json").write_text(made, encoding="utf-8")


def command(arguments: Sequence[str]) -> str:
    """The command line, without the folders that a program or an absolute path lies in."""
    main = sys.modules["__main__"].__spec__
    given = [Path(one).name if Path(one).is_absolute() else one for one in arguments[1:]]
    return " ".join(["python", "-m", main.name if main is not None else Path(arguments[0]).name, *given])


def say(what: str) -> None:
    """Show what is being done: on a terminal in one line that an empty text clears."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)
    elif what:
        print(what, file=sys.stderr, flush=True)
