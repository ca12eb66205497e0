"""Doses that are given to be compared with: of how many fractions and of what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spotline.dose.grid import DoseGrid
from spotline.plan.model import Plan
from spotline.wording import several

ENTIRE = ("PLAN", "FRACTION", "BEAM")
"""Dose Summation Types that are for the entire delivery: all fractions of the plan, of a fraction group ("for
all fractions"), or of fields ("for entire delivery"); DICOM PS3.3, C.8.8.3.2.
"""
SESSION = ("FRACTION_SESSION", "BEAM_SESSION")
"""Those that are for a single session, which is a fraction."""


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """What the given doses are held against.

    Attributes
    ----------
    doses : mapping of str to DoseGrid
        By name.
    fractions : int
        That they are the sum of.
    fields : tuple of int
        Numbers of the fields in them.
    """

    doses: Mapping[str, DoseGrid]
    fractions: int
    fields: tuple[int, ...]

    def maximum_Gy(self, kind: str) -> float:
        """Largest dose of the first that is of a kind; 0 if there is none."""
        return next((float(one.dose_Gy.max()) for one in self.doses.values() if one.kind == kind), 0.0)


def of_as_many(
    dose: DoseGrid, name: str, plan: Plan | None, computed: Computed, notes: list[str]
) -> DoseGrid:
    """Bring a dose to compare with to as many fractions as were computed.

    Parameters
    ----------
    dose : DoseGrid
        Its `summation` says of how many fractions it is: of all that the plan has, or of one.
    name : str
        Begins the notes.
    plan : Plan, optional
        Says how many fractions are planned; without it, a dose of all of them is left as it is.
    computed : Computed
    notes : list of str
        Gets what was done, what the dose does not share with those computed, and whether its largest value
        speaks for another number of fractions than it says.

    Returns
    -------
    DoseGrid
    """
    own = "" if plan is None else plan.identity.get("SOPInstanceUID", "")
    if own and dose.plan_uid not in ("", own):
        notes.append(f"{name}: refers to another plan ({dose.plan_uid}) than that of this dose ({own})")
    if dose.beam_number is not None and computed.fields != (dose.beam_number,):
        notes.append(
            f"{name}: is of field {dose.beam_number} alone, and field "
            f"{', '.join(map(str, computed.fields))} was computed (--field)"
        )
    if dose.summation not in ENTIRE + SESSION:
        return dose
    is_entire = dose.summation in ENTIRE
    if plan is None and is_entire:
        if computed.fractions != 1:
            notes.append(
                f"{name}: is of all fractions of a plan (Dose Summation Type {dose.summation}) that is not "
                f"known, and {computed.fractions} were computed; it is taken as it is (--plan)"
            )
        return dose
    planned = 1 if plan is None else plan.fractions_planned
    # So the factor is for a dose of all fractions, and for one of a single fraction.
    factors = {True: computed.fractions / planned, False: float(computed.fractions)}
    factor = factors[is_entire]
    if factor != 1.0:
        of = f"all {planned} fractions of the plan" if is_entire else "one fraction"
        notes.append(
            f"{name}: is of {of} (Dose Summation Type {dose.summation}); it is taken times {factor:.4g}, "
            f"for {computed.fractions}"
        )
    if planned > 1:
        _doubt(dose, name, factors, computed, notes)
    return replace(dose, dose_Gy=dose.dose_Gy * np.float32(factor)) if factor != 1.0 else dose


def _doubt(
    dose: DoseGrid, name: str, factors: dict[bool, float], computed: Computed, notes: list[str]
) -> None:
    """Tell where the largest dose is nearer to that computed if the dose is taken for the other."""
    own_Gy, given_Gy = computed.maximum_Gy(dose.kind), float(dose.dose_Gy.max())
    if not (own_Gy > 0.0 and given_Gy > 0.0):
        return
    is_entire = dose.summation in ENTIRE
    as_said, otherwise = (given_Gy * factors[entire] / own_Gy for entire in (is_entire, not is_entire))
    if abs(math.log(otherwise)) < abs(math.log(as_said)):
        other = "one fraction" if is_entire else "all fractions"
        notes.append(
            f"{name}: its largest dose is then {as_said:.3g} times that computed for "
            f"{several(computed.fractions, 'fraction')}; taken as a dose of {other} it would be "
            f"{otherwise:.3g} times: perhaps whoever exported it means that by {dose.summation}"
        )
