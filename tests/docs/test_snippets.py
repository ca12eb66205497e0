"""The documentation does what it says: every example in it is run, and every link leads somewhere.

In each Markdown file, the ``python`` blocks run one after the other in one namespace, and the lines
``$ spotline ...`` of the ``console`` blocks run as commands, in the order of the page, in a folder
that has copies of ``examples/`` and ``faults/``.  A comment right before a block changes that:

``<!-- no-run: reason -->``
    the block is not run, and shows up among the skipped tests;
``<!-- status: 3 -->``
    the last command of the block ends with this status instead of 0.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\s*$")
COMMENT = re.compile(r"^<!--\s*(no-run|status):\s*(.*?)\s*-->$")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int  # of its first line of code, from 1
    language: str
    code: str
    reason: str | None  # not to be run, because
    status: int

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Read the fenced blocks of a Markdown file."""
    blocks = []
    language: str | None = None
    code: list[str] = []
    start = 0
    last_text = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if language is None:
            if fence := FENCE.match(line):
                language, code, start = fence[1], [], number + 1
            elif line.strip():
                last_text = line.strip()
        elif line.strip() == "```":
            comment = COMMENT.match(last_text)
            reason = comment[2] if comment and comment[1] == "no-run" else None
            status = int(comment[2]) if comment and comment[1] == "status" else 0
            blocks.append(Block(page, start, language, "\n".join(code), reason, status))
            language, last_text = None, ""
        else:
            code.append(line)
    assert language is None, f"{page}: the block at line {start} does not end"
    return blocks


def commands_of(block: Block) -> list[list[str]]:
    """Arguments of the lines ``$ spotline ...``, with lines that end in a backslash joined."""
    joined = block.code.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if re.match(r"\$ spotline( |$)", line)]
    return [shlex.split(line, comments=True)[2:] for line in lines]


def run_command(arguments: list[str], expected_status: int, place: str) -> None:
    call = "import sys; from spotline.faces.cli import main; sys.argv[0] = 'spotline'; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", call, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode == expected_status, f"{place}: spotline {shlex.join(arguments)}\n{output}"


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUN = {page: [b for b in blocks_of(page) if b.language in ("python", "console")] for page in PAGES}


@pytest.mark.parametrize(
    "page", [p for p in PAGES if RUN[p]], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_examples_of(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("examples", "faults"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in RUN[page]:
        if block.reason is not None:
            continue
        if block.language == "console":
            commands = commands_of(block)
            for position, arguments in enumerate(commands, start=1):
                run_command(arguments, block.status if position == len(commands) else 0, block.place)
        else:
            # Empty lines put the code where it stands in the page, for the traceback.
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
            exec(code, namespace)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.reason is not None], ids=lambda block: block.place)
def test_not_run(block: Block):
    assert block.reason, f"{block.place}: say why the block is not run"
    pytest.skip(block.reason)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_language_is_named(block: Block):
    assert block.language, f"{block.place}: name the language of the block; `text` if it has none"


LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")


def links_of(page: Path) -> list[str]:
    """Targets of all links of a page, outside of blocks and code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return LINK.findall(re.sub(r"`[^`\n]*`", "", text))


def anchors_of(page: Path) -> set[str]:
    """Anchors that forges give to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+\s+(.*?)\s*#*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "RELEASING"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_of(page: Path):
    broken = []
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        missing_anchor = anchor and file.suffix == ".md" and file.exists() and anchor not in anchors_of(file)
        if not file.exists() or missing_anchor:
            broken.append(link)
    assert not broken


def test_every_page_can_be_reached_from_the_readme():
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        targets = (link.partition("#")[0] for link in links_of(page) if not re.match(r"[a-z]+:", link))
        todo.extend((page.parent / target).resolve() for target in targets if target.endswith(".md"))
    assert set(PAGES) <= reached, "link these pages from docs/index.md"
