"""Dose of beams in a patient or phantom: from spots at the isocentre to gray in voxels.

`DoseEngine` keeps what belongs to a field (where its rays enter, how deep each voxel lies), so that layers
can be added one by one, as a delivery brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Float32s, Floats
from spotline.dose.beam_frame import BeamFrame, VirtualSources, at_isocentre_mm, beam_frame
from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.in_air import beam_in_air
from spotline.dose.engine.lever_arms import lever_arms
from spotline.dose.engine.pencil_beams import Divergence, Weighting, add_layer
from spotline.dose.engine.sub_ray_depths import sub_rays
from spotline.dose.engine.sub_rays import SubRays
from spotline.dose.engine.voxel_loop import Rays
from spotline.dose.grid import Grid
from spotline.dose.water_path import voxel_paths_mm
from spotline.errors import DoseError
from spotline.machine.library import BeamLibrary, Entry, in_beam, load_library
from spotline.machine.library.modifiers import Thickness
from spotline.machine.load import BeamLine

Quantities = Callable[[Entry], Callable[[Floats], Floats]]
"""Gives, for an entry, the quantities of a biological model by depth."""


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """What the beam meets.

    Attributes
    ----------
    rsp : ndarray of float32, shape (nz, ny, nx)
        Stopping power relative to water.
    grid : Grid
        Its grid, in patient coordinates.
    position : str
        Patient Position on the table top, such as ``"HFS"``, for beams that say nothing of it.
    """

    rsp: Float32s
    grid: Grid
    position: str = "HFS"


@dataclass(slots=True, eq=False)
class _Field:
    """What stays the same for all layers of a field, and what they added that the grid does not have yet."""

    beams: FieldBeams
    rays: Rays
    sub: SubRays
    voxels: NDArray[np.int64]
    library: BeamLibrary
    thickness: Thickness
    dose_Gy: Floats
    weighted: Floats
    is_empty: bool = True
    entries: dict[tuple[float, str], tuple[Entry, Divergence, tuple[float, float] | None]] = field(
        default_factory=dict
    )


class DoseEngine:
    """Adds up dose on a grid.

    Parameters
    ----------
    beamline : BeamLine
        Where the beams come from.
    patient : Patient
        What they meet.
    grid : Grid
        Where dose is wanted.
    libraries : mapping of str to BeamLibrary, optional
        Beam libraries by name of the ion; by default those shipped for the line.
    quantities : callable, optional
        Quantities of a biological model, summed with the dose as weight.
    n_quantities : int
        How many these are.
    threads : int, optional
        By default as many as there are processors.  The result does not depend on it.

    Raises
    ------
    DoseError
        If the grid and the patient have nothing in common.
    """

    def __init__(
        self,
        beamline: BeamLine,
        patient: Patient,
        grid: Grid,
        *,
        libraries: Mapping[str, BeamLibrary] | None = None,
        quantities: Quantities | None = None,
        n_quantities: int = 0,
        threads: int | None = None,
    ) -> None:
        for axis, low, high, first, last in zip(
            "xyz", grid.lower_mm, grid.upper_mm, patient.grid.lower_mm, patient.grid.upper_mm, strict=True
        ):
            if high <= first or low >= last:
                raise DoseError(
                    f"dose grid: reaches from {low:g} to {high:g} mm in {axis}, the patient from {first:g} "
                    f"to {last:g} mm; take a grid that overlaps with it"
                )
        self.beamline, self.patient, self.grid = beamline, patient, grid
        self._dose_Gy: Floats = np.zeros(grid.shape)
        self._weighted: Floats = np.zeros((*grid.shape, n_quantities))
        self._libraries = dict(libraries or {})
        self._quantities = quantities
        self._threads = threads
        self._fields: dict[tuple[object, ...], _Field] = {}

    @property
    def dose_Gy(self) -> Floats:
        """Dose so far, shape of the grid."""
        self._gather()
        return self._dose_Gy

    @property
    def weighted(self) -> Floats:
        """Dose times each quantity so far, shape of the grid and (n_quantities,)."""
        self._gather()
        return self._weighted

    def _gather(self) -> None:
        """Put what the fields collected onto the grid."""
        for one in self._fields.values():
            if one.is_empty:
                continue
            self._dose_Gy.reshape(-1)[one.voxels] += one.dose_Gy
            one.dose_Gy[:] = 0.0
            if self._weighted.size:
                self._weighted.reshape(-1, self._weighted.shape[-1])[one.voxels] += one.weighted
                one.weighted[:] = 0.0
            one.is_empty = True

    def add(self, beams: Iterable[FieldBeams], progress: Callable[[int, int], None] | None = None) -> None:
        """Add all layers of fields; `progress` is called with the layers that are done, and all."""
        fields = list(beams)
        total = sum(len(one.layers) for one in fields)
        done = 0
        for one in fields:
            for layer in one.layers:
                self.add_layer(one, layer)
                done += 1
                if progress is not None:
                    progress(done, total)

    def take(self) -> tuple[Floats, Floats]:
        """Hand out dose and weighted quantities so far, and begin again at nothing.

        What is known of the fields stays, so the next dose on the grid costs no rays.
        """
        taken = self.dose_Gy, self.weighted
        self._dose_Gy, self._weighted = (np.zeros_like(array) for array in taken)
        return taken

    def add_layer(self, beams: FieldBeams, layer: LayerBeam) -> None:
        """Add one layer of a field, of which only angles, isocentre and passive elements are used."""
        if len(layer.spots.x_mm) == 0:
            return
        prepared = self._fields.get(_key(beams)) or self._prepare(beams)
        entry, divergence, sigma_mm = self._entry(prepared, layer)
        spots = layer.spots
        if sigma_mm is not None:
            spots = _behind(spots, sigma_mm, layer.planned_sigma_mm)
        weighting = None
        if self._quantities is not None:
            weighting = Weighting(prepared.weighted, self._quantities(entry))
        add_layer(
            prepared.rays,
            entry,
            spots,
            divergence,
            prepared.dose_Gy,
            weighting,
            self._threads,
            prepared.sub,
        )
        prepared.is_empty = False

    def _prepare(self, beams: FieldBeams) -> _Field:
        geometry = self.beamline.facts.geometry
        sources = VirtualSources(geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm)
        frame = beam_frame(
            beams.gantry_deg,
            beams.patient_support_deg,
            beams.isocentre_mm,
            beams.patient_position or self.patient.position,
        )
        depth = voxel_paths_mm(
            self.patient.rsp, self.patient.grid, frame, sources, self.grid, threads=self._threads
        )
        voxels = np.flatnonzero(depth > 0.0)
        in_beam_frame = _in_beam_frame(frame, self.grid, voxels)
        x_iso, y_iso = at_isocentre_mm(in_beam_frame, sources)
        rays = Rays(
            x_iso.astype(np.float32),
            y_iso.astype(np.float32),
            depth.ravel()[voxels],
            in_beam_frame[:, 2].astype(np.float32),
            *lever_arms(
                self.patient.rsp, self.patient.grid, frame, sources, self.grid, voxels, self._threads
            ),
        )
        name = beams.ion.name
        library = self._libraries.get(name) or load_library(self.beamline, name)
        self._libraries[name] = library
        none = np.zeros(len(voxels)), np.zeros((len(voxels), self._weighted.shape[-1]))
        sub = sub_rays(depth, self.grid, frame, voxels, library, self._threads)
        thickness = in_beam(
            self.beamline,
            name,
            range_modulators=self._named(beams, "range_modulators"),
            range_shifters=self._named(beams, "range_shifters"),
        )
        self._fields[_key(beams)] = _Field(beams, rays, sub, voxels, library, thickness, *none)
        return self._fields[_key(beams)]

    def _entry(
        self, prepared: _Field, layer: LayerBeam
    ) -> tuple[Entry, Divergence, tuple[float, float] | None]:
        """Depth dose, divergence, and the width of spots where passive elements change that of the plan."""
        key = (layer.energy_MeV_u, layer.focus)
        if key not in prepared.entries:
            prepared.entries[key] = self._make_entry(prepared, layer)
        return prepared.entries[key]

    def _make_entry(
        self, prepared: _Field, layer: LayerBeam
    ) -> tuple[Entry, Divergence, tuple[float, float] | None]:
        beams, facts = prepared.beams, self.beamline.facts
        entry = prepared.library.entry(layer.energy_MeV_u).with_thickness(prepared.thickness)
        if facts.nozzle is None:
            geometry = facts.geometry
            return (
                entry,
                Divergence(geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm),
                None,
            )
        air = beam_in_air(
            self.beamline, beams.ion.name, layer.energy_MeV_u, layer.focus or None, beams.passive_elements
        )
        # Behind a range shifter spots are wider than a plan says, whose sizes are those without.
        is_wider = bool(self._named(beams, "range_shifters"))
        return entry, air.divergence, (air.sigma_x_mm, air.sigma_y_mm) if is_wider else None

    def _named(
        self, beams: FieldBeams, kind: Literal["range_modulators", "range_shifters"]
    ) -> tuple[str, ...]:
        """Passive elements of one kind in the beam."""
        known = getattr(self.beamline.facts.passive_elements, kind)
        return tuple(name for name in beams.passive_elements if name in known)


def _in_beam_frame(frame: BeamFrame, grid: Grid, voxels: NDArray[np.int64]) -> Floats:
    """Centres of some voxels in the frame of the beam, shape (n, 3), by sums over the axes of the grid."""
    x, y, z = (
        axis - origin
        for axis, origin in zip((grid.x_mm, grid.y_mm, grid.z_mm), frame.isocentre_mm, strict=True)
    )
    found = np.empty((len(voxels), 3))
    for column, (a, b, c) in enumerate(frame.axes):
        whole = (c * z)[:, None, None] + (b * y)[:, None] + a * x
        found[:, column] = whole.ravel()[voxels]
    return found


def _key(beams: FieldBeams) -> tuple[object, ...]:
    """All of a field that its geometry depends on: fields of several records may share their numbers."""
    return (
        beams.ion.name,
        beams.passive_elements,
        beams.gantry_deg,
        beams.patient_support_deg,
        beams.isocentre_mm,
        beams.patient_position,
    )


def _behind(spots: Spots, sigma_mm: tuple[float, float], planned_mm: tuple[float, float] | None) -> Spots:
    """Spots behind passive elements: as wide as these make them, and wider if they were so before."""
    x_mm2, y_mm2 = (
        0.0 if planned_mm is None else given_mm**2 - planned_mm[plane] ** 2
        for plane, given_mm in enumerate((spots.sigma_x_mm, spots.sigma_y_mm))
    )
    ones = np.ones(len(spots.x_mm))
    return Spots(
        spots.x_mm,
        spots.y_mm,
        spots.particles,
        np.sqrt(np.maximum(sigma_mm[0] ** 2 + x_mm2, 0.0)) * ones,
        np.sqrt(np.maximum(sigma_mm[1] ** 2 + y_mm2, 0.0)) * ones,
    )
