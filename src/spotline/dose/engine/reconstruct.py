"""Dose of a plan, and of what was delivered of it: planned, measured and, in a simulation, true.

Dose is added up over layers, fields and records.  RBE-weighted dose is no sum: the model is applied once, to
the sums of dose and of what it weights with dose, and to the number of fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spotline.arrays import Float32s, Floats
from spotline.dose.engine.beams import FieldBeams, What, Widths
from spotline.dose.engine.forward import DoseEngine, Patient, Quantities
from spotline.dose.engine.sources import Source, SourceBeams, beams_of
from spotline.dose.grid import DoseGrid, Grid, Point
from spotline.dose.rbe import RbeModel
from spotline.machine.library import BeamLibrary, Entry, load_library
from spotline.machine.library.letd import IN_WORDS, letd_group
from spotline.machine.load import BeamLine

Progress = Callable[[int, int], None]

LEAST_FOR_LET = 1e-3
"""LETd is given where there is this part of the largest dose: below, it is that of a few stray fragments."""


@dataclass(frozen=True, slots=True, eq=False)
class SummedDose:
    """Dose of all beams of one kind.

    Attributes
    ----------
    physical : DoseGrid
        Dose to water.
    effective : DoseGrid or None
        RBE-weighted dose, with a model.
    letd_keV_um : ndarray of float32, shape (nz, ny, nx)
        Dose-averaged LET in water; 0 where there is hardly any dose (`LEAST_FOR_LET`).
    particles : float
        Of all spots.
    fields : dict of int to DoseGrid
        Physical dose by number of the field, if asked for.
    """

    physical: DoseGrid
    effective: DoseGrid | None
    letd_keV_um: Float32s
    particles: float
    fields: dict[int, DoseGrid] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """Dose of a plan or of a delivery.

    Attributes
    ----------
    grid : Grid
    doses : dict of What to SummedDose
        By ``"planned"``, ``"measured"`` and ``"true"``.
    fractions : int
        Fractions that the doses are the sum of.
    libraries : dict of str to BeamLibrary
        Where the pencil beams came from, by ion.
    notes : tuple of str
        What the reader has to know.
    """

    grid: Grid
    doses: dict[What, SummedDose]
    fractions: int
    libraries: dict[str, BeamLibrary]
    notes: tuple[str, ...] = ()

    @property
    def letd_of(self) -> dict[str, str]:
        """Of which particles LETd is, by ion: one of `spotline.machine.library.letd.LETD_GROUPS`."""
        return {ion: library.letd_group for ion, library in self.libraries.items()}


class DoseSum:
    """Adds up layers, with LETd and what a model of RBE needs.

    Parameters
    ----------
    beamline, patient, grid, threads
        As of `DoseEngine`.
    libraries : mapping of str to BeamLibrary
        By ion.
    rbe : RbeModel, optional
    """

    def __init__(
        self,
        beamline: BeamLine,
        patient: Patient,
        grid: Grid,
        libraries: Mapping[str, BeamLibrary],
        rbe: RbeModel | None = None,
        threads: int | None = None,
    ) -> None:
        self.rbe = rbe
        self.libraries = dict(libraries)
        self.engine = DoseEngine(
            beamline,
            patient,
            grid,
            libraries=libraries,
            quantities=_quantities(rbe),
            n_quantities=1 + (0 if rbe is None else rbe.number),
            threads=threads,
        )

    def dose(self, fractions: int = 1, particles: float = 0.0) -> SummedDose:
        """Dose so far; more can be added afterwards."""
        return self._summed(self.engine.dose_Gy, self.engine.weighted, fractions, particles)

    def take(
        self, fractions: int = 1, particles: float = 0.0, fields: dict[int, DoseGrid] | None = None
    ) -> SummedDose:
        """Dose so far; then begin again at nothing."""
        return self._summed(*self.engine.take(), fractions, particles, fields)

    def _summed(
        self,
        dose_Gy: Floats,
        weighted: Floats,
        fractions: int,
        particles: float,
        fields: dict[int, DoseGrid] | None = None,
    ) -> SummedDose:
        grid = self.engine.grid
        effective = None
        if self.rbe is not None:
            weighted_Gy = self.rbe.effective_dose(dose_Gy, weighted[..., 1:], fractions)
            effective = DoseGrid(
                grid, weighted_Gy.astype(np.float32), "effective", comment=f"RBE: {self.rbe.name}"
            )
        enough = dose_Gy > LEAST_FOR_LET * dose_Gy.max()
        letd = np.divide(weighted[..., 0], dose_Gy, out=np.zeros_like(dose_Gy), where=enough)
        return SummedDose(
            DoseGrid(grid, dose_Gy.astype(np.float32)),
            effective,
            letd.astype(np.float32),
            particles,
            dict(fields or {}),
        )


def reconstruct(
    source: Source,
    beamline: BeamLine,
    patient: Patient,
    grid: Grid,
    *,
    of: Sequence[What] | None = None,
    rbe: RbeModel | None = None,
    libraries: Mapping[str, BeamLibrary] | None = None,
    fields: Sequence[int] | None = None,
    isocentres_mm: Mapping[int, Point] | None = None,
    per_field: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    widths: Widths = "measured",
) -> Reconstruction:
    """Compute the dose of a treatment, or of records.

    Parameters
    ----------
    source : Treatment, Record, or sequence of Record
        Several records are added: fractions, fields, or an interrupted delivery and its continuation.
    beamline : BeamLine
        Line that delivers.
    patient : Patient
        What the beams meet.
    grid : Grid
        Where dose is wanted.
    of : sequence of {"planned", "measured", "true"}, optional
        By default all that there is.
    rbe : RbeModel, optional
        For RBE-weighted dose beside the physical one.
    libraries : mapping of str to BeamLibrary, optional
        By name of the ion; by default those of the line.
    fields : sequence of int, optional
        Numbers of the only fields to take.
    isocentres_mm : mapping of int to point, optional
        By number of the field, in patient coordinates, where the source does not say or says otherwise.
    per_field : bool
        Whether to give the physical dose of each field too.
    threads : int, optional
        By default as many as there are processors.  The result does not depend on it.
    progress : callable, optional
        Called with the layers that are done, and all.
    widths : {"measured", "planned"}
        Of the spots of what was measured: as the strips found them, or as the plan has them.  A record
        without widths has the planned ones.

    Returns
    -------
    Reconstruction

    Raises
    ------
    DoseError
        If something asked for is not there, a field cannot be placed, the grid is beside the patient, or the
        model of RBE is none for the ion.
    LibraryError
        If a beam library cannot be had.
    """
    found = beams_of(source, beamline, of=of, fields=fields, isocentres_mm=isocentres_mm, widths=widths)
    every = [beams for group in found.beams.values() for beams in group]
    known = libraries_for(beamline, every, libraries)
    adding = DoseSum(beamline, patient, grid, known, rbe, threads)
    return add_up(found, adding, per_field=per_field, progress=progress)


def add_up(
    found: SourceBeams, adding: DoseSum, *, per_field: bool = False, progress: Progress | None = None
) -> Reconstruction:
    """Add up all beams of a source.

    Parameters
    ----------
    found : SourceBeams
        What `beams_of` collected.
    adding : DoseSum
        Without anything in it.
    per_field : bool
        Whether to give the physical dose of each field too.
    progress : callable, optional
        Called with the layers that are done, and all.
    """
    grid = adding.engine.grid
    total = sum(len(beams.layers) for group in found.beams.values() for beams in group)
    done = 0
    doses: dict[What, SummedDose] = {}
    for what, group in found.beams.items():
        by_field: dict[int, Floats] = {}
        for beams in group:
            before = adding.engine.dose_Gy.copy() if per_field else None
            for layer in beams.layers:
                adding.engine.add_layer(beams, layer)
                done += 1
                if progress is not None:
                    progress(done, total)
            if before is not None:
                added = np.maximum(adding.engine.dose_Gy - before, 0.0)
                by_field[beams.number] = by_field.get(beams.number, 0.0) + added
        doses[what] = adding.take(
            found.fractions,
            sum(beams.particles for beams in group),
            {
                number: DoseGrid(grid, dose.astype(np.float32), beam_number=number)
                for number, dose in by_field.items()
            },
        )
    notes = (*found.notes, *letd_notes(adding.libraries))
    return Reconstruction(grid, doses, found.fractions, adding.libraries, notes)


def letd_notes(libraries: Mapping[str, BeamLibrary]) -> Iterator[str]:
    """Say which libraries have not the LETd that models of RBE want."""
    for ion, library in libraries.items():
        wanted = letd_group(library.ion)
        if wanted not in library.letd_groups:
            yield (
                f"the beam library of {ion}s ({library.path or 'given'}) has LETd of "
                f"{IN_WORDS[library.letd_group]} only, as older ones do, and not of {IN_WORDS[wanted]}: with "
                "recoils of helium LETd is 10 to 100 % larger before the peak, and RBE by models of LETd is "
                "larger by up to 0.05; build the library anew"
            )


def libraries_for(
    beamline: BeamLine, beams: Sequence[FieldBeams], given: Mapping[str, BeamLibrary] | None = None
) -> dict[str, BeamLibrary]:
    """Libraries of all ions of some beams: those that are given, else those of the line."""
    known = dict(given or {})
    ions = dict.fromkeys(one.ion.name for one in beams)
    return {ion: known[ion] if ion in known else load_library(beamline, ion) for ion in ions}


def _quantities(rbe: RbeModel | None) -> Quantities:
    """LETd, and behind it what the model asks for."""

    def of_entry(entry: Entry) -> Callable[[Floats], Floats]:
        more = None if rbe is None else rbe.quantities(entry)

        def at(depth_mm: Floats) -> Floats:
            letd = entry.letd(depth_mm)[:, None]
            return letd if more is None else np.concatenate([letd, more(depth_mm)], axis=1)

        return at

    return of_entry
