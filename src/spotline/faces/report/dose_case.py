"""Doses that were computed, from what, and what there is to say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spotline.dose.engine.reconstruct import Reconstruction
from spotline.dose.evaluation.compare import USUAL, Comparison, compare_doses
from spotline.dose.evaluation.dvh import DoseStatistics, dose_statistics
from spotline.dose.grid import DoseGrid, Float32s
from spotline.dose.masks import Mask
from spotline.errors import DoseError
from spotline.machine.load import BeamLine


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What was computed, from what.

    Attributes
    ----------
    title : str
        Name of the plan or record.
    reconstruction : Reconstruction
    beamline : BeamLine
    image : ndarray of float32, shape (nz, ny, nx)
        What the beams met, on the dose grid, to draw the dose over.
    image_kind : str
        What its numbers are: ``"HU"`` or ``"stopping power"``.
    structures : tuple of Mask
        On the dose grid.
    prescribed_Gy : mapping of str to float
        What structures are to get, by name: RBE-weighted dose with a model, else physical.
    with_letd : bool
        Whether maps of the LET are wanted.
    compare : DoseGrid or None
        Another dose to hold against, and its name.
    compare_name : str
    rbe : str
        Name of the model; empty without.
    inputs : tuple of dict
        ``role``, ``name`` and ``sha256`` of all that was read.
    identity : mapping of str to str
        Patient and study, by DICOM keyword.
    frame_of_reference_uid, plan_uid : str
    record_uids : tuple of str
        Of the DICOM treatment records; empty if there are none.
    fraction_group : int
    notes : tuple of str
        What the reader has to know.
    """

    title: str
    reconstruction: Reconstruction
    beamline: BeamLine
    image: Float32s
    image_kind: str
    structures: tuple[Mask, ...] = ()
    prescribed_Gy: Mapping[str, float] = field(default_factory=dict)
    with_letd: bool = False
    compare: DoseGrid | None = None
    compare_name: str = ""
    rbe: str = ""
    inputs: tuple[dict[str, str], ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    frame_of_reference_uid: str = ""
    plan_uid: str = ""
    record_uids: tuple[str, ...] = ()
    fraction_group: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two doses and what is between them."""

    names: tuple[str, str]
    reference: DoseGrid
    evaluated: DoseGrid
    comparison: Comparison


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What is said about the doses of a case.

    Attributes
    ----------
    compared : tuple of Compared
        Measured and true dose with the planned one, and all with the dose that was given.
    statistics : dict of str to dict of str to DoseStatistics
        By structure and name of the dose.
    letd_keV_um : dict of str to dict of str to float
        Mean over a structure, weighted with dose; by structure, and planned, measured or true.  Structures
        without dose have none.
    """

    compared: tuple[Compared, ...]
    statistics: dict[str, dict[str, DoseStatistics]]
    letd_keV_um: dict[str, dict[str, float]]


def doses_of(reconstruction: Reconstruction) -> dict[str, DoseGrid]:
    """All doses by the name that their files have."""
    found: dict[str, DoseGrid] = {}
    for what, dose in reconstruction.doses.items():
        found[what] = dose.physical
        if dose.effective is not None:
            found[f"{what}-effective"] = dose.effective
    return found


def look_at(case: Case) -> Findings:
    """Compare the doses, and take the statistics of the structures.

    Raises
    ------
    DoseError
        If the dose to compare with is of another kind or place.
    """
    doses = doses_of(case.reconstruction)
    compared = [
        _compared(("planned", name), doses["planned"], doses[name])
        for name in ("measured", "true")
        if "planned" in doses and name in doses and doses["planned"].dose_Gy.max() > 0.0
    ]
    if case.compare is not None:
        alike = {name: dose for name, dose in doses.items() if dose.kind == case.compare.kind}
        if not alike:
            raise DoseError(
                f"{case.compare_name}: holds {case.compare.kind} dose, but none of that kind was computed; "
                "give --rbe (such as constant for protons)"
            )
        compared += [_compared((case.compare_name, name), case.compare, dose) for name, dose in alike.items()]
    statistics = {
        mask.name: {
            name: dose_statistics(
                dose,
                mask.share,
                prescription_Gy=_prescribed_Gy(case, mask, dose),
                name=mask.name,
                outside_cm3=mask.outside_cm3,
            )
            for name, dose in doses.items()
        }
        for mask in case.structures
    }
    letd = {mask.name: _mean_letd(case.reconstruction, mask) for mask in case.structures}
    return Findings(tuple(compared), statistics, letd)


def _prescribed_Gy(case: Case, mask: Mask, dose: DoseGrid) -> float | None:
    """What a structure is to get of a kind of dose: with a model of the RBE weighted dose counts."""
    kind = "effective" if case.rbe else "physical"
    return case.prescribed_Gy.get(mask.name) if dose.kind == kind else None


def _mean_letd(reconstruction: Reconstruction, mask: Mask) -> dict[str, float]:
    found = {}
    for what, dose in reconstruction.doses.items():
        weight = (mask.share * dose.physical.dose_Gy)[dose.letd_keV_um > 0.0].astype(float)
        if weight.sum() > 0.0:
            letd = dose.letd_keV_um[dose.letd_keV_um > 0.0]
            found[str(what)] = float(np.average(letd, weights=weight))
    return found


def _compared(names: tuple[str, str], reference: DoseGrid, evaluated: DoseGrid) -> Compared:
    return Compared(names, reference, evaluated, compare_doses(reference, evaluated, criteria=USUAL))


def rates(compared: Sequence[Compared]) -> list[str]:
    """The first gamma of each comparison, in words."""
    lines = []
    for one in compared:
        gamma, found = one.comparison.gammas[0], one.comparison
        lines.append(
            f"{one.names[1]} against {one.names[0]}: {100.0 * gamma.pass_rate:.2f} % pass {gamma.name}; "
            f"difference {100.0 * found.mean_Gy / found.normalisation_Gy:+.2f} % in the mean, "
            f"{100.0 * found.largest_Gy / found.normalisation_Gy:.2f} % at most"
        )
    return lines
