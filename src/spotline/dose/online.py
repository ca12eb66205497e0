"""Dose of a delivery while it runs: spill by spill, as they come.

A spill brings parts of spots: counts, and a position measured for these counts.  The dose of each part is
placed where it was measured.  The whole record joins the parts of a spot that two spills share at their mean
position instead, so both doses agree but for the distance of the two, which is tenths of a millimetre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.dose.engine.beams import (
    FieldBeams,
    LayerBeam,
    measured_places_mm,
    measured_widths_mm,
    planned_sigma_mm,
    with_particles,
)
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import DoseSum, SummedDose, libraries_for
from spotline.dose.engine.sources import beams_of
from spotline.dose.grid import Grid, Point
from spotline.dose.rbe import RbeModel
from spotline.errors import DoseError
from spotline.machine.library import BeamLibrary
from spotline.record.arriving import ArrivingSpills
from spotline.record.model import Table
from spotline.record.positions import Measured, are_centred, measured_columns
from spotline.record.spill_file import Spill
from spotline.record.widths import sigma_iso_mm, widths_of_parts
from spotline.treatment.monitors import isocentre_per_chamber
from spotline.treatment.treatment import Slice, Treatment


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A field as it is planned."""

    beams: FieldBeams
    slices: tuple[Slice, ...]


class Reconstructor:
    """Follows a delivery: takes its spills and knows the dose so far.

    `follow` looks into the folder that a delivery writes to; `add_spill` and `add_parts` take spills from
    wherever they come.

    Parameters
    ----------
    treatment : Treatment
        What is delivered; its beam line delivers.
    patient : Patient
    grid : Grid
    of : {"measured", "true"}
        What the chambers measure, or what the simulation knows.
    rbe : RbeModel, optional
    libraries : mapping of str to BeamLibrary, optional
        By ion; by default those of the line.
    isocentres_mm : mapping of int to point, optional
        As in `reconstruct`.
    threads : int, optional

    Attributes
    ----------
    spills : int
        Spills so far.
    particles : float
        Their particles.
    """

    def __init__(
        self,
        treatment: Treatment,
        patient: Patient,
        grid: Grid,
        *,
        of: Literal["measured", "true"] = "measured",
        rbe: RbeModel | None = None,
        libraries: Mapping[str, BeamLibrary] | None = None,
        isocentres_mm: Mapping[int, Point] | None = None,
        threads: int | None = None,
    ) -> None:
        line = treatment.beamline
        beams = beams_of(treatment, line, isocentres_mm=isocentres_mm).beams["planned"]
        self._fields = {
            one.number: _Known(one, prepared.slices)
            for one, prepared in zip(beams, treatment.fields, strict=True)
        }
        self._of = of
        scale = isocentre_per_chamber(line.facts)
        self._columns = measured_columns(scale)
        self._sum = DoseSum(line, patient, grid, libraries_for(line, beams, libraries), rbe, threads)
        self._arriving = ArrivingSpills()
        self.spills, self.particles = 0, 0.0

    def follow(self, folder: str | Path) -> int:
        """Add all spills that a delivery has written to its folder since the last call; return how many.

        Raises
        ------
        DoseError
            If the folder is of another treatment, or `add_parts` refuses a spill.
        RecordError
            If a file is truncated or altered.
        """
        new = 0
        for arrived in self._arriving.new_in(folder):
            self.use_slices(arrived.field, arrived.slices)
            self.add_spill(arrived.spill)
            new += 1
        return new

    def use_slices(self, field: int, slices: tuple[Slice, ...]) -> None:
        """Take the slices of a field as they are delivered, with counts corrected for the gas of the day.

        Raises
        ------
        DoseError
            If they are not those of the treatment.
        """
        known = self._fields.get(field)
        before = () if known is None else tuple((s.energy_MeV_u, s.n_spots) for s in known.slices)
        if known is None or before != tuple((s.energy_MeV_u, s.n_spots) for s in slices):
            raise DoseError(
                f"field {field}: its slices are not those of the treatment; follow the delivery of this one"
            )
        self._fields[field] = replace(known, slices=slices)

    def add_spill(self, spill: Spill) -> None:
        """Add a spill as its file holds it (`spotline.record.spill_file.read_spill`)."""
        self.add_parts(spill.header.field, spill.header.slice, spill.spots, spill.parts, spill.truth)

    def add_parts(
        self, field: int, slice_index: int, spots: Integers, parts: Table, truth: Floats | None = None
    ) -> None:
        """Add what the fast control has in its memories at the end of a spill.

        Parameters
        ----------
        field : int
            Number of the field.
        slice_index : int
            Slice that was delivered, from 0.
        spots : ndarray of int
            Indices in the slice of the spots that were in the memory boards.
        parts : Table
            Columns `PART` of `spotline.control.memory`, as in `spotline.room.SpillResult`.
        truth : ndarray, shape (n_parts, 5), optional
            As in `spotline.room.SpillResult`.

        Raises
        ------
        DoseError
            If there is no such field or slice, or no truth although it is followed.
        """
        known = self._fields.get(field)
        if known is None or not 0 <= slice_index < len(known.slices):
            raise DoseError(f"spill: the treatment has no slice {slice_index} of a field {field}")
        planned = known.beams.layers[slice_index]
        index = np.asarray(spots)[parts["spot"]]
        part = known.slices[slice_index]
        if self._of == "measured":
            found = self._measured(planned, part, index, parts)
        elif truth is None:
            raise DoseError(
                "spill: there is no truth in it, because no simulation made it; follow what is measured"
            )
        else:
            found = _true(planned, part, self._columns, index, truth)
        layer = replace(planned, spots=with_particles(found), planned_sigma_mm=planned_sigma_mm(planned))
        self._sum.engine.add_layer(known.beams, layer)
        self.spills += 1
        self.particles += float(layer.spots.particles.sum())

    def dose(self) -> SummedDose:
        """Dose of all spills so far."""
        return self._sum.dose(particles=self.particles)

    def _measured(self, planned: LayerBeam, part: Slice, index: Integers, parts: Table) -> Spots:
        spots = planned.spots
        x, y, *_ = self._columns
        valid = are_centred(parts, self._columns)
        valid &= np.isfinite(parts[x.source]) & np.isfinite(parts[y.source])  # pixels may have too few counts
        return Spots(
            measured_places_mm(parts[x.source] * x.iso_per_mm, valid, spots.x_mm[index]),
            measured_places_mm(parts[y.source] * y.iso_per_mm, valid, spots.y_mm[index]),
            parts["int1_counts"] * part.particles_per_count1[index],
            self._width_mm(x, spots.sigma_x_mm[index], part, parts),
            self._width_mm(y, spots.sigma_y_mm[index], part, parts),
        )

    def _width_mm(self, column: Measured, planned_mm: Floats, part: Slice, parts: Table) -> Floats:
        """Width of the beam of this spill at the isocentre, the planned one if it was not measured."""
        sigma_mm, error_mm = widths_of_parts(parts, column.chamber, part, column.iso_per_mm)
        return measured_widths_mm(sigma_mm, error_mm, np.zeros(len(parts), np.int64), planned_mm)


def _true(
    planned: LayerBeam, part: Slice, columns_of: Sequence[Measured], index: Integers, truth: Floats
) -> Spots:
    ions = truth[:, 0]
    any_ion = np.maximum(ions, 1.0)
    spots = planned.spots
    columns = []
    expected_mm = (part.fwhm_x_mm, part.fwhm_box_x_mm), (part.fwhm_y_mm, part.fwhm_box_y_mm)
    for plane, (first, sigma) in enumerate(((1, spots.sigma_x_mm), (3, spots.sigma_y_mm))):
        at_mm = np.sqrt(truth[:, 5 + plane] / any_ion)
        true_mm = sigma_iso_mm(at_mm, columns_of[plane].iso_per_mm, *expected_mm[plane])
        sigma_mm = np.where(np.isfinite(true_mm) & (ions > 0), true_mm, sigma[index])
        mean = truth[:, first] / any_ion
        # A beam that moved while the spot was the current one is as much wider.
        wander = np.maximum(0.0, truth[:, first + 1] / any_ion - mean**2)
        columns.append((mean, np.sqrt(sigma_mm**2 + wander)))
    (x_mm, sigma_x_mm), (y_mm, sigma_y_mm) = columns
    return Spots(x_mm, y_mm, ions, sigma_x_mm, sigma_y_mm)
