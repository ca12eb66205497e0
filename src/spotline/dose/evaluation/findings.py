"""What an evaluation finds: doses, what is between them, and what structures get of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from spotline.dose.engine.reconstruct import Reconstruction, SummedDose
from spotline.dose.evaluation.compare import Comparison
from spotline.dose.evaluation.dvh import DoseStatistics
from spotline.dose.evaluation.gamma import LEAST_COMPARED_percent, Required
from spotline.dose.evaluation.patients import PatientOnGrid
from spotline.dose.grid import DoseGrid
from spotline.dose.masks import Mask
from spotline.hdf5 import keys_of
from spotline.machine.library.model import BeamLibrary
from spotline.machine.load import BeamLine


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two doses and what is between them.

    Attributes
    ----------
    names : tuple of two str
        Of reference and evaluated dose.
    reference, evaluated : DoseGrid
    comparison : Comparison
    """

    names: tuple[str, str]
    reference: DoseGrid
    evaluated: DoseGrid
    comparison: Comparison

    def notes(self, compared_percent: float = LEAST_COMPARED_percent) -> tuple[str, ...]:
        """What has to be known before any figure of the comparison is believed.

        Parameters
        ----------
        compared_percent : float
            Least share of the points with enough dose that has to be compared.
        """
        reference, evaluated = self.names
        said = [self.comparison.other_maximum] if self.comparison.other_maximum else []
        gamma = self.comparison.gammas[0]
        if not Required(compared_percent=compared_percent).is_compared(gamma):
            said.append(
                f"only {100.0 * gamma.compared_share:.2f} % of the {gamma.compared + gamma.outside} points "
                f"of {reference} with enough dose lie within the grid of {evaluated} (at least "
                f"{compared_percent:g} % asked for); nothing is said of the others"
            )
        return tuple(f"{evaluated} against {reference}: {one}" for one in said)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Doses of a plan or of a delivery, and what there is to say of them.

    Attributes
    ----------
    reconstruction : Reconstruction
        Planned, measured and true dose, as there are, with LETd and, if asked for, each field.
    beamline : BeamLine
        Line that the dose was computed with.
    patient : PatientOnGrid
        What the beams met.
    structures : tuple of Mask
        On the dose grid; those without any part of it are named in a note.
    comparisons : tuple of Compared
        Measured and true dose with the planned one, and all with the doses that were given.
    statistics : dict of str to dict of str to DoseStatistics
        By structure and name of the dose.
    letd_keV_um : dict of str to dict of str to float
        Mean over a structure, weighted with dose; by structure, and planned, measured or true.  Structures
        without dose have none.
    rbe : str
        Name of the model; empty without.
    notes : tuple of str
        What the reader has to know.
    first_notes : tuple of str
        Those of them that have to be known before any figure is believed; `notes` begins with them.
    """

    reconstruction: Reconstruction
    beamline: BeamLine
    patient: PatientOnGrid
    structures: tuple[Mask, ...]
    comparisons: tuple[Compared, ...]
    statistics: dict[str, dict[str, DoseStatistics]]
    letd_keV_um: dict[str, dict[str, float]]
    rbe: str
    notes: tuple[str, ...]
    first_notes: tuple[str, ...] = ()

    @property
    def doses(self) -> dict[str, DoseGrid]:
        """All doses by name: ``planned``, ``measured``, ``true``, with a model ``planned-effective`` ..."""
        return doses_of(self.reconstruction)

    @property
    def fractions(self) -> int:
        """Fractions that the doses are the sum of."""
        return self.reconstruction.fractions

    def as_dict(self) -> dict[str, Any]:
        """Return all figures and no maps, as for JSON."""
        done = self.reconstruction
        return {
            "engine": {
                "model": "pencil beams of a library, dose to water",
                "beamline": self.beamline.name,
                "beamline_sha256": self.beamline.sha256,
                "libraries": {ion: keys_of(_origin(library)) for ion, library in done.libraries.items()},
                "rbe": self.rbe or None,
            },
            "grid": {
                "origin_mm": list(done.grid.origin_mm),
                "spacing_mm": list(done.grid.spacing_mm),
                "shape": list(done.grid.shape),
            },
            "fractions": done.fractions,
            "notes": list(self.notes),
            "doses": {what: keys_of(_figures(dose)) for what, dose in done.doses.items()},
            "comparisons": [
                {"reference": one.names[0], "evaluated": one.names[1], **one.comparison.as_dict()}
                for one in self.comparisons
            ],
            "structures": {
                name: {dose: statistics.as_dict() for dose, statistics in by_dose.items()}
                for name, by_dose in self.statistics.items()
            },
            "letd_of": self.reconstruction.letd_of,
            "letd_keV_um": self.letd_keV_um,
        }


def doses_of(reconstruction: Reconstruction) -> dict[str, DoseGrid]:
    """All doses by the name that their files have."""
    found: dict[str, DoseGrid] = {}
    for what, dose in reconstruction.doses.items():
        found[what] = dose.physical
        if dose.effective is not None:
            found[f"{what}-effective"] = dose.effective
    return found


class DoseFigures(Struct, frozen=True, kw_only=True):
    """Figures of one dose in ``dose.json``; the effective one is None without a model."""

    particles: float
    maximum_Gy: float
    maximum_effective_Gy: float | None
    maximum_letd_keV_um: float
    integral_Gy_cm3: float


class LibraryOrigin(Struct, frozen=True, kw_only=True):
    """Where a beam library comes from, in ``dose.json``; see its header."""

    beamline: str
    primaries: int | None
    seed: int | None
    physics_sha256: str
    versions: dict[str, str]


def _figures(dose: SummedDose) -> DoseFigures:
    return DoseFigures(
        particles=dose.particles,
        maximum_Gy=float(dose.physical.dose_Gy.max()),
        maximum_effective_Gy=None if dose.effective is None else float(dose.effective.dose_Gy.max()),
        maximum_letd_keV_um=float(dose.letd_keV_um.max()),
        integral_Gy_cm3=float(dose.physical.dose_Gy.sum(dtype=float)) * dose.physical.grid.voxel_cm3,
    )


def _origin(library: BeamLibrary) -> LibraryOrigin:
    made = library.facts
    return LibraryOrigin(
        beamline=made.beamline,
        primaries=made.primaries,
        seed=made.seed,
        physics_sha256=made.physics_sha256,
        versions=made.versions,
    )
