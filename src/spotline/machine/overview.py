"""What a beam line is, in a few figures: for people, and for programs that ask by JSON."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from spotline.machine.load import BeamLine
from spotline.machine.model import IonBeam

# Tables of the file that say what the machine is, as they stand there.  The tolerances and the simulated room
# are for who reads the file itself.
_TABLES = (
    "geometry",
    "scanning",
    "chambers",
    "boxes",
    "monitors",
    "chopper",
    "accelerator",
    "passive_elements",
    "nozzle",
)


def summary_of(line: BeamLine) -> dict[str, Any]:
    """Describe a beam line as a tree of plain values, for JSON.

    Its tables of the machine have the keys of the file; of each ion there are the ends of its tables.
    """
    summary: dict[str, Any] = {
        "name": line.name,
        "title": line.facts.title,
        "version": line.facts.version,
        "path": str(line.path),
        "sha256": line.sha256,
        "ions": [_ion(line, beam) for beam in line.facts.ions],
    }
    for table in _TABLES:
        # By way of JSON, so that what is said here is what JSON says.
        summary[table] = msgspec.json.decode(msgspec.json.encode(getattr(line.facts, table)))
    summary["sources"] = _sources(line)
    return summary


def _ion(line: BeamLine, beam: IonBeam) -> dict[str, Any]:
    table = line.energies[beam.name]

    def ends(column: Any) -> list[float]:
        return [float(column[0]), float(column[-1])]

    spots = []
    for optics in beam.optics:
        sizes = [
            line.spot_size(beam.name, energy, optics.focus, optics.range_modulators)
            for energy in ends(table.energy_MeV_u)
        ]
        fwhm_mm = [size._asdict() for size in sizes if size is not None]
        spots.append(
            {
                "focus": optics.focus,
                "range_modulators": optics.range_modulators,
                **{key: [size[key] for size in fwhm_mm] for key in fwhm_mm[0]},
            }
        )
    return {
        "name": beam.name,
        "energies": len(table.energy_MeV_u),
        "energy_selection": beam.energy_selection,
        "energy_MeV_u": ends(table.energy_MeV_u),
        "range_mm": ends(table.range_mm),
        "particles_per_count": ends(table.particles_per_count),
        "full_intensity_per_s": beam.full_intensity_per_s,
        "minimum_particles_per_spot": beam.minimum_particles_per_spot,
        "library": beam.library,
        "spots": spots,
    }


def _sources(line: BeamLine) -> list[dict[str, Any]]:
    """Each source, and how many lines of the file name it in their comment."""
    comments = [
        comment
        for text in line.path.read_text(encoding="utf-8").splitlines()
        if (comment := text.partition("#")[2])
    ]
    return [
        {
            "code": code,
            "source": source,
            "lines": sum(bool(re.search(rf"\[[^]]*\b{re.escape(code)}\b", comment)) for comment in comments),
        }
        for code, source in line.facts.sources.items()
    ]
