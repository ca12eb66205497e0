"""The page of the mutants: how many were noticed, and why the others were not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from verification.figures import Figure, held, noted, table
from verification.mutators import JOURNAL, Sample
from verification.page import circumstances, fill

EXPLAINED = Path(__file__).with_name("data") / "survivors.toml"
"""Why survivors survive; found again by file, function, original and mutant, not by the line."""
TARGET = 0.9
"""Of the mutants that change anything, in the control and in the journal."""

Row = Mapping[str, Any]
Place = tuple[str, str, str, str]
"""File, function, original and mutant."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a mutant survives, and whether it behaves as the original in all that can happen."""

    why: str
    is_equivalent: bool


def read_reasons(path: Path = EXPLAINED) -> dict[Place, Reason]:
    """Explanations of survivors."""
    with path.open("rb") as file:
        rows = tomllib.load(file).get("survivor", [])
    return {
        (row["file"], row["inside"], row["original"], row["mutant"]): Reason(row["why"], row["equivalent"])
        for row in rows
    }


def reason_of(row: Row, reasons: Mapping[Place, Reason]) -> Reason:
    """What is said of a survivor."""
    return reasons.get(
        (row["file"], row["inside"], row["original"], row["mutant"]), Reason("unexplained", False)
    )


def share(killed: int, tried: int) -> Figure:
    """A share in percent with its exact binomial interval of 95 % (Clopper and Pearson)."""
    if not tried:
        return Figure("-", None)
    interval = binomtest(killed, tried).proportion_ci(0.95, method="exact")
    text = f"{100 * killed / tried:.1f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f})"
    return Figure(text, 100 * killed / tried, "%")


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the mutants of a part of the code."""

    killed: int
    survived: int
    equivalent: int

    @property
    def changed(self) -> int:
        """Mutants that behave otherwise."""
        return self.killed + self.survived - self.equivalent

    @property
    def is_enough(self) -> bool:
        """Whether more than the target of them was killed."""
        return self.killed > TARGET * self.changed


def count(rows: Iterable[Row], reasons: Mapping[Place, Reason]) -> Count:
    """Count killed, survivors, and survivors that are known to be equivalent."""
    listed = list(rows)
    survivors = [row for row in listed if not row["noticed"]]
    equivalent = sum(reason_of(row, reasons).is_equivalent for row in survivors)
    return Count(len(listed) - len(survivors), len(survivors), equivalent)


def short(file: str) -> str:
    """A file as the page names it."""
    return file.removeprefix("src/spotline/")


def page(sample: Sample, drawn: Sequence[Row], tried: Sequence[Row]) -> tuple[list[str], bool]:
    """Put the page together.

    Parameters
    ----------
    sample : Sample
        What was to be tried.
    drawn : sequence of rows
        What became of those of all modules, or of as many as have been tried.
    tried : sequence of rows
        These, and those of the journal besides.

    Returns
    -------
    list of str, bool
        Parts, and whether the target is met.
    """
    reasons, places = read_reasons(), sample.places
    groups = [
        (name, [row for row in drawn if short(row["file"]).startswith(f"{name}/")])
        for name in ("control", "delivery", "record")
    ]
    groups += [
        ("all three", list(drawn)),
        ("record/journal.py", [row for row in tried if row["file"] == JOURNAL]),
    ]
    table_rows, met = [], {}
    for name, rows in groups:
        of = count(rows, reasons)
        number = sum(n for file, n in places.items() if name == "all three" or short(file).startswith(name))
        table_rows.append(
            (
                name,
                number,
                len(rows),
                of.killed,
                of.survived,
                of.equivalent,
                share(of.killed, len(rows)),
                share(of.killed, of.changed),
            )
        )
        met[name] = of.is_enough
    is_met = met["control"] and met["record/journal.py"]
    survivors = sorted(
        (row for row in tried if not row["noticed"]), key=lambda row: (row["file"], row["line"])
    )
    seconds = sum(row["seconds"] for row in tried)
    parts = [
        "# Verification by mutants",
        fill(
            f"""Small mistakes that somebody could have made, one at a time: a comparison turned or moved by
            its border, arithmetic turned, `and` for `or`, a condition negated, a constant changed, a call, a
            `raise` or the value of a `return` left out. {len(sample.drawn)} of {sum(places.values())} were
            drawn, of each module by its share, and {len(sample.of_journal)} more of the journal. Each was put
            into a copy of the sources, and tests that run the changed line were run until one failed; an end
            that does not come counts as noticed. {unfinished(sample, tried)} Mutants of the control ran with
            kernels as plain Python on `tests/control`, the others on `tests/delivery`, `tests/record` and the
            tests of generated pages: no other tests, so a share is a lower bound. The
            [interlocks](verification-mutations.md) are removed one by one besides."""
        ),
        fill(
            f"""`python -m verification.mutants --out rows.jsonl --write
            docs/reference/verification-mutants.md` makes this page; the mutants took
            {max(1, round(seconds / 60))} min. Made on {circumstances()}."""
        ),
        "## Shares",
        table(
            (
                "In",
                "places",
                "tried",
                "killed",
                "survived",
                "of these equivalent",
                "killed (95 % interval)",
                "killed of those that change anything",
            ),
            table_rows,
            keys=1,
        ),
        noted(
            f"Verdict, more than {100 * TARGET:g} % of those that change anything, in the control and in the "
            f"journal: {held(is_met)}.",
            verdict=held(is_met),
        ),
        "## By operator",
        table(("Operator", "tried", "killed"), by_operator(tried), keys=1),
        "## Survivors",
    ]
    if not survivors:
        parts.append("None.")
        return parts, is_met
    parts.append(
        fill(
            """*Equivalent* is a mutant that does the same in all that can happen. *Tests* came to its place
            and passed; a number in brackets is that of tests that would have taken too long."""
        )
    )
    parts.append(
        table(
            ("Place", "original", "mutant", "tests", "why it survives"),
            [survivor(row, reason_of(row, reasons)) for row in survivors],
            keys=5,
        )
    )
    return parts, is_met


def unfinished(sample: Sample, tried: Sequence[Row]) -> str:
    """Say so if not all have been tried."""
    n_all = len(sample.drawn) + len(sample.of_journal)
    return f"**Of {n_all} drawn only {len(tried)} have been tried so far.**" if len(tried) < n_all else ""


def by_operator(rows: Sequence[Row]) -> list[tuple[str, int, int]]:
    """Tried and killed of every kind of mistake."""
    kinds = sorted({row["operator"] for row in rows})
    of = {kind: [row for row in rows if row["operator"] == kind] for kind in kinds}
    return [(kind, len(of[kind]), sum(bool(row["noticed"]) for row in of[kind])) for kind in kinds]


def survivor(row: Row, reason: Reason) -> tuple[str, str, str, str, str]:
    """A row of the table of survivors."""
    tests = f"{row['tests']}" + (f" ({row['left_out']})" if row["left_out"] else "")
    return (
        f"{short(row['file'])}:{row['line']}",
        f"`{row['original']}`",
        f"`{row['mutant']}`",
        tests,
        ("Equivalent: " if reason.is_equivalent else "") + reason.why,
    )
