"""Mutants: what is changed and what is not, which are drawn, and which tests are asked."""

from __future__ import annotations

import ast
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from spotline.errors import SpotlineError
from verification.mutant_page import Reason, count, page, read_reasons, share
from verification.mutant_runs import Traced, choose, outcome
from verification.mutants import draw, key, read_rows, shares, sources
from verification.mutators import Mutant, Sample, mutants_of


def changes(text: str) -> set[tuple[str, str]]:
    """Operator and changed text of all mutants of a source."""
    return {(one.operator, one.applied(text.encode()).decode()) for one in mutants_of("a.py", text.encode())}


@pytest.mark.parametrize(
    ("source", "operator", "mutants"),
    [
        ("a < b", "comparison", {"a <= b", "a >= b"}),
        ("a <= b", "comparison", {"a < b", "a > b"}),
        ("a == b", "comparison", {"a != b"}),
        ("a is  not b", "comparison", {"a is b"}),
        ("a in b", "comparison", {"a not in b"}),
        ("a < b <= c", "comparison", {"a <= b <= c", "a >= b <= c", "a < b < c", "a < b > c"}),
        ("(a) < (b)", "comparison", {"(a) <= (b)", "(a) >= (b)"}),
        ("a + b", "arithmetic", {"a - b"}),
        ("a // b", "arithmetic", {"a * b"}),
        ("a ** b", "arithmetic", {"a * b"}),
        ("-a", "arithmetic", {"+a"}),
        ("a and b and c", "and/or", {"a or b and c", "a and b or c"}),
        ("not (a)", "not", {" (a)"}),
        ("x = 3", "constant", {"x = 4", "x = 0"}),
        ("x = 0", "constant", {"x = 1"}),
        ("x = 1.5", "constant", {"x = 3.0", "x = 0.0"}),
        ("x = True", "constant", {"x = False"}),
        ("x += y", "augmented assignment", {"x -= y", "x = y"}),
        ("f(x)", "statement deleted", {"pass"}),
        ("raise f(x)", "statement deleted", {"pass"}),
        ("def f(x):\n    return x", "early return", {"def f(x):\n    return"}),
        ("def f(x=2):\n    g", "default", {"def f(x=3):\n    g", "def f(x=0):\n    g"}),
        ("if a:\n    b", "not", {"if (not a):\n    b"}),
        ("µ = 'µ' < b", "comparison", {"µ = 'µ' <= b", "µ = 'µ' >= b"}),
    ],
)
def test_every_operator(source: str, operator: str, mutants: set[str]):
    if source[0] in "an(-":
        # What stands alone is a docstring, or a call.
        source, mutants = f"x = {source}", {f"x = {one}" for one in mutants}
    assert changes(source) == {(operator, one) for one in mutants}


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is: 1 + 1."""',
        "x: Literal[1]",
        "def f(x: Literal[1, 2]) -> Literal[3]:\n    pass",
        "__slots__ = (1,)",
        "@decorated(slots=True)\nclass A:\n    pass",
        "x = f'{a + 1}'",
        "x = 'a' + b",
        "x = 'a %d' % b",
        "x = A | None",
        "if TYPE_CHECKING:\n    import a",
        "x = folder / NAME",
        "...",
        "return None",
        "return",
    ],
)
def test_what_cannot_matter_is_left(source: str):
    assert changes(source) == set()


def test_the_message_of_an_error_is_left_and_the_error_is_not():
    assert changes("raise E(a + 1, f'{b < c}')") == {("statement deleted", "pass")}


def test_mutants_of_the_packages_are_other_programs():
    files = sources()
    for one in draw(files, 300, 0, 1).drawn:
        source = files[one.file]
        assert ast.dump(ast.parse(one.applied(source))) != ast.dump(ast.parse(source)), one


def test_lines_that_tests_must_run():
    source = b"X = 1\n\n\ndef f(a=2):\n    if a < 3:\n        return g(\n            4,\n        )\n"
    runs = {one.text: one.runs for one in mutants_of("a.py", source)}
    assert runs["0"] == (6, 7, 8), "the last, and its statement"
    by_line = {one.line: one.runs for one in mutants_of("a.py", source)}
    assert by_line[1] == (), "when it is imported"
    assert by_line[4] == (5, 6, 7, 8), "a default matters in the function"
    assert by_line[5] == (5,)


def test_shares_are_in_proportion_and_make_the_sample():
    assert shares({"a": 50, "b": 30, "c": 20}, 10) == {"a": 5, "b": 3, "c": 2}
    assert shares({"a": 1, "b": 1, "c": 2}, 3) == {"a": 1, "b": 1, "c": 1}
    assert shares({"a": 2, "b": 1}, 10) == {"a": 2, "b": 1}


def test_the_sample_is_of_the_seed():
    files = sources()
    first, same, other = draw(files, 60, 20, 1), draw(files, 60, 20, 1), draw(files, 60, 20, 2)
    assert first == same
    assert first.drawn != other.drawn
    assert len(set(map(key, first.drawn + first.of_journal))) == 60 + len(first.of_journal)
    journal = [one for one in first.drawn + first.of_journal if one.file.endswith("record/journal.py")]
    assert len(journal) == 20


def mutant(**others: Any) -> Mutant:
    """A mutant of line 7 of the journal."""
    given: dict[str, Any] = {"file": "src/spotline/record/journal.py", "runs": (7,)} | others
    return Mutant(
        **{"operator": "not", "start": 0, "end": 0, "text": "", "line": 7} | given, original="", mutant=""
    )


def traced(name: str, seconds: float, *lines: int) -> Traced:
    return Traced(name, seconds, {"src/spotline/record/journal.py": frozenset(lines)})


def test_tests_that_come_to_the_place_are_asked_and_quick_ones_first():
    tests = [
        traced("tests/record/test_journal.py::test_long", 30.0, 7),
        traced("tests/record/test_log.py::test_quick", 1.0, 6, 7),
        traced("tests/record/test_read.py::test_quicker", 0.5, 7),
        traced("tests/record/test_journal.py::test_own", 2.0, 7),
        traced("tests/record/test_read.py::test_elsewhere", 0.1, 6),
        Traced(
            "tests/record/test_log.py::test_other_file", 0.1, {"src/spotline/record/log.py": frozenset({7})}
        ),
    ]
    chosen = choose(mutant(), tests, 10.0)
    own, read, log = (f"tests/record/test_{name}.py::test_" for name in ("journal", "read", "log"))
    assert chosen.tests == (f"{own}own", f"{read}quicker", f"{log}quick")
    assert chosen.left_out == 1
    assert choose(mutant(), tests, 30.0, (f"{own}long",)).tests == (f"{own}long",)
    assert choose(mutant(), tests[:1], 10.0).tests == (f"{own}long",), "one at least"
    assert len(choose(mutant(runs=()), tests, 100.0).tests) == 6, "nobody knows who uses a constant"
    assert choose(mutant(file="src/spotline/record/names.py"), tests, 100.0).tests == ()


def test_what_becomes_of_a_run():
    failed = "..F\nFAILED tests/a.py::test_b[x - y] - AssertionError: no - it is not\n1 failed\n"
    assert outcome(0, "3 passed", 120) == ""
    assert outcome(1, failed, 120) in ("tests/a.py::test_b[x", "tests/a.py::test_b[x - y]")
    assert outcome(2, "ERROR tests/a.py - NameError: no\n", 120) == "tests/a.py"
    assert outcome(4, "ERROR: not found: tests/a.py::test_b\n", 120) is None
    assert "120 s" in str(outcome(-signal.SIGXCPU, "", 120))
    assert "signal 11" in str(outcome(-signal.SIGSEGV, "", 120))
    with pytest.raises(RuntimeError, match="ended with 5"):
        outcome(5, "no tests ran", 120)


def test_rows_of_another_sample_are_refused_and_a_torn_one_is_none(tmp_path: Path):
    head, row = {"seed": 1}, {"file": "a.py", "start": 1, "end": 2, "text": "x"}
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(head)}\n{json.dumps(row)}\n{json.dumps(row)[:9]}", encoding="utf-8")
    assert read_rows(path, head) == {("a.py", 1, 2, "x"): row}
    assert path.read_text(encoding="utf-8") == f"{json.dumps(head)}\n{json.dumps(row)}\n", (
        "so that rows can follow"
    )
    with pytest.raises(SpotlineError, match="of another sample"):
        read_rows(path, {"seed": 2})


def row(file: str, noticed: str, line: int = 1) -> dict[str, Any]:
    told = {
        "file": f"src/spotline/{file}",
        "line": line,
        "inside": "f",
        "original": "a < b",
        "mutant": "a <= b",
    }
    return told | {"operator": "comparison", "noticed": noticed, "tests": 3, "left_out": 2, "seconds": 60.0}


def test_counts_and_the_page():
    rows = [row("control/slow.py", "test"), row("control/slow.py", ""), row("record/journal.py", "test")]
    reasons = {("src/spotline/control/slow.py", "f", "a < b", "a <= b"): Reason("why", True)}
    assert (count(rows, reasons).changed, count(rows, {}).changed) == (2, 3)
    assert count(rows, reasons).is_enough
    assert not count(rows, {}).is_enough
    places = {"src/spotline/control/slow.py": 9, "src/spotline/record/journal.py": 5}
    parts, is_met = page(Sample(places, (mutant(),) * 4, ()), rows, rows)
    text = "\n\n".join(parts)
    assert not is_met
    assert "Of 4 drawn only 3 have been tried so far." in " ".join(text.split())
    assert "| control | 9 | 2 | 1 | 1 | 0 | 50.0 % (1 to 99) |" in text
    assert "| all three | 14 | 3 | 2 | 1 | 0 |" in text
    assert "| control/slow.py:1 | `a < b` | `a <= b` | 3 (2) | unexplained |" in text


def test_the_interval_is_the_exact_one():
    # 9 of 10: 55.50 % to 99.75 %, Clopper and Pearson (1934).
    assert share(9, 10) == "90.0 % (55 to 100)"
    assert share(9, 10).value == 90.0
    assert share(0, 0).value is None


def test_explanations_are_of_mutants_that_there_are():
    files = sources()
    for place in read_reasons():
        found = [
            one
            for one in mutants_of(place[0], files[place[0]])
            if (one.file, one.inside, one.original, one.mutant) == place
        ]
        assert found, place
