"""What a beam line is, in a few figures: for people, and for programs that ask by JSON."""

from __future__ import annotations

import re

from msgspec import Struct

from spotline.arrays import Floats
from spotline.machine.accelerator import Accelerator
from spotline.machine.load import BeamLine
from spotline.machine.model import (
    Chambers,
    Chopper,
    Geometry,
    IonBeam,
    Nozzle,
    PassiveElements,
    Scanning,
)
from spotline.machine.monitors import Box, Monitor


class SpotFigures(Struct, frozen=True, kw_only=True):
    """Spots of an ion with one focus: full widths at half maximum at the lowest and the highest energy."""

    focus: str
    range_modulators: int
    fwhm_x_mm: tuple[float, ...]
    fwhm_y_mm: tuple[float, ...]
    fwhm_box_x_mm: tuple[float, ...]
    fwhm_box_y_mm: tuple[float, ...]


class IonFigures(Struct, frozen=True, kw_only=True):
    """An ion of a line; of its tables there are the first and the last number."""

    name: str
    energies: int
    energy_selection: str
    energy_MeV_u: tuple[float, float]
    range_mm: tuple[float, float]
    particles_per_count: tuple[float, float]
    full_intensity_per_s: float
    minimum_particles_per_spot: float
    library: str | None
    spots: tuple[SpotFigures, ...]


class SourceFigures(Struct, frozen=True, kw_only=True):
    """A source, and how many lines of the file name it in their comment."""

    code: str
    source: str
    lines: int


class LineFigures(Struct, frozen=True, kw_only=True):
    """A beam line, as ``spotline beamline show --json`` prints it.

    The tables that say what the machine is are those of the file.  The tolerances and the simulated room are
    for who reads the file itself.
    """

    name: str
    title: str
    version: str
    path: str
    sha256: str
    ions: tuple[IonFigures, ...]
    geometry: Geometry
    scanning: Scanning
    chambers: Chambers
    boxes: tuple[Box, ...]
    monitors: tuple[Monitor, ...]
    chopper: Chopper
    accelerator: Accelerator
    passive_elements: PassiveElements
    nozzle: Nozzle | None
    sources: tuple[SourceFigures, ...]


def figures_of(line: BeamLine) -> LineFigures:
    """Describe a beam line."""
    facts = line.facts
    return LineFigures(
        name=line.name,
        title=facts.title,
        version=facts.version,
        path=str(line.path),
        sha256=line.sha256,
        ions=tuple(_ion(line, beam) for beam in facts.ions),
        geometry=facts.geometry,
        scanning=facts.scanning,
        chambers=facts.chambers,
        boxes=facts.boxes,
        monitors=facts.monitors,
        chopper=facts.chopper,
        accelerator=facts.accelerator,
        passive_elements=facts.passive_elements,
        nozzle=facts.nozzle,
        sources=_sources(line),
    )


def _ion(line: BeamLine, beam: IonBeam) -> IonFigures:
    table = line.energies[beam.name]

    def ends(column: Floats) -> tuple[float, float]:
        return float(column[0]), float(column[-1])

    spots = []
    for optics in beam.optics:
        found = [
            line.spot_size(beam.name, energy, optics.focus, optics.range_modulators)
            for energy in ends(table.energy_MeV_u)
        ]
        sizes = [size for size in found if size is not None]
        spots.append(
            SpotFigures(
                focus=optics.focus,
                range_modulators=optics.range_modulators,
                fwhm_x_mm=tuple(size.fwhm_x_mm for size in sizes),
                fwhm_y_mm=tuple(size.fwhm_y_mm for size in sizes),
                fwhm_box_x_mm=tuple(size.fwhm_box_x_mm for size in sizes),
                fwhm_box_y_mm=tuple(size.fwhm_box_y_mm for size in sizes),
            )
        )
    return IonFigures(
        name=beam.name,
        energies=len(table.energy_MeV_u),
        energy_selection=beam.energy_selection,
        energy_MeV_u=ends(table.energy_MeV_u),
        range_mm=ends(table.range_mm),
        particles_per_count=ends(table.particles_per_count),
        full_intensity_per_s=beam.full_intensity_per_s,
        minimum_particles_per_spot=beam.minimum_particles_per_spot,
        library=beam.library,
        spots=tuple(spots),
    )


def _sources(line: BeamLine) -> tuple[SourceFigures, ...]:
    comments = [
        comment
        for text in line.path.read_text(encoding="utf-8-sig").splitlines()
        if (comment := text.partition("#")[2])
    ]
    return tuple(
        SourceFigures(
            code=code,
            source=source,
            lines=sum(bool(re.search(rf"\[[^]]*\b{re.escape(code)}\b", comment)) for comment in comments),
        )
        for code, source in line.facts.sources.items()
    )
