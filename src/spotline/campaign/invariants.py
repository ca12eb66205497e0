"""What must hold in every delivery of a campaign: one table."""

from __future__ import annotations

from dataclasses import dataclass

EXCESS = 1
BEAM_OFF = 2
COUNTS = 4
FALSE_TRIP = 8
FAILURE = 16
LACK = 32


@dataclass(frozen=True, slots=True)
class Invariant:
    """One row of the table.

    Attributes
    ----------
    bit : int
        Value in the column ``violations``.
    name : str
        Key in ``campaign.json``.
    condition : str
        What must hold.
    """

    bit: int
    name: str
    condition: str


INVARIANTS = tuple(
    Invariant(*row)
    for row in (
        (EXCESS, "excess", "no spot and no field receives more particles than prescribed plus the bound"),
        (BEAM_OFF, "beam_off", "the last ion comes within the bound after the first sample out of tolerance"),
        (COUNTS, "counts", "delivered, assumed and remaining counts of every spot make up its prescription"),
        (FALSE_TRIP, "false_trip", "no interlock before something has failed"),
        (FAILURE, "failure", "the delivery comes to an end that it knows of: no error of the program"),
        (
            LACK,
            "lack",
            "a field in which nothing fails is whole, and it and its spots lack no more than the bound",
        ),
    )
)


def names_of(bits: int) -> tuple[str, ...]:
    """Names of the invariants that some bits of ``violations`` stand for."""
    return tuple(invariant.name for invariant in INVARIANTS if bits & invariant.bit)
