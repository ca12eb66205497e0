"""Everything that is wrong with a beam line, at once: for who describes one.

`spotline.machine.load_beamline` refuses a line for its first problem.  Here all are collected, and those that
loading does not see: a beam library that is missing or of another beam, and a nozzle that does not go with
the spot sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spotline.errors import BeamLineError, LibraryError, OptionError
from spotline.machine.beams import beam_faults
from spotline.machine.library import read_library
from spotline.machine.library.store import faults_of, library_path
from spotline.machine.load import BeamLine, find_line, read_line
from spotline.machine.model import IonBeam, Nozzle, Optics
from spotline.machine.monitors import Plane
from spotline.machine.optics import window_phase_space
from spotline.physics.ions import IONS

PLANES: tuple[Plane, ...] = ("x", "y")


def check_beamline(name_or_path: str | Path) -> list[str]:
    """Find all that is wrong with a beam line.

    Parameters
    ----------
    name_or_path : str or Path
        As for `load_beamline`.

    Returns
    -------
    list of str
        A sentence for each problem: file, key or line, what is wrong, what to do.  Empty if the line is fine.
        If the TOML file itself is no beam line, its tables are not looked at.

    Raises
    ------
    BeamLineError
        If there is no such line.
    """
    problems: list[str] = []
    line = read_line(find_line(name_or_path), lambda problem: problems.append(str(problem)))
    if line is not None:
        problems += _library_problems(line)
        problems += _nozzle_problems(line)
    return list(dict.fromkeys(problems))


def lacks_for_dose(line: BeamLine) -> list[str]:
    """Say what a line that is fine does not have, and `spotline dose` asks for.

    Parameters
    ----------
    line : BeamLine

    Returns
    -------
    list of str
        A sentence each: file, key, what cannot be computed without it, what to do.
    """
    lacks = [
        f"{line.path}: ions[{index}].library: is missing, so there is no dose of {beam.name}; build one with "
        "`spotline library build` and add its name"
        for index, beam in enumerate(line.facts.ions)
        if beam.library is None
    ]
    if line.facts.nozzle is None:
        lacks.append(
            f"{line.path}: nozzle: is missing, so beams of a dose are as wide everywhere in air as at the "
            "isocentre, and spots behind a range shifter cannot be computed; add the table"
        )
    return lacks


def _library_problems(line: BeamLine) -> Iterator[str]:
    for beam in line.facts.ions:
        # A line may do without, if nobody asks for its dose; without energies there is nothing to compare.
        if beam.library is None or beam.name not in line.energies or beam.name not in IONS:
            continue
        try:
            library = read_library(library_path(line, beam.name))
        except LibraryError as error:
            yield str(error)
        else:
            yield from faults_of(library, line, beam.name)
            if library.ion.name == beam.name:
                yield from beam_faults(library, line, beam.name)


def _nozzle_problems(line: BeamLine) -> Iterator[str]:
    nozzle, elements = line.facts.nozzle, line.facts.passive_elements
    if nozzle is None:
        return
    for name in (*elements.range_shifters, *elements.range_modulators):
        if name not in nozzle.passive_elements_mm:
            yield (
                f"{line.path}: nozzle.passive_elements_mm: {name!r} is missing; add its distance from the "
                "isocentre"
            )
    for index, beam in enumerate(line.facts.ions):
        if beam.name in line.energies and beam.name in IONS:
            yield from _optics_problems(line, nozzle, index, beam)


def _optics_problems(line: BeamLine, nozzle: Nozzle, index: int, beam: IonBeam) -> Iterator[str]:
    """Whether the nozzle and the tables of spot sizes go together, at every energy of the ion."""
    filters = tuple(line.facts.passive_elements.range_modulators)
    for number, optics in enumerate(beam.optics):
        used = filters[: optics.range_modulators]
        if len(used) < optics.range_modulators:
            yield (
                f"{line.path}: ions[{index}].optics[{number}].range_modulators: {optics.range_modulators} "
                f"are more than the {len(filters)} in passive_elements; add them or correct the number"
            )
        elif all(name in nozzle.passive_elements_mm for name in used) and _covers(line, beam, optics):
            for plane in PLANES:  # each, as another energy may be the worst in it
                try:
                    window_phase_space(
                        line,
                        beam.name,
                        line.energies[beam.name].energy_MeV_u,
                        plane,
                        focus=optics.focus,
                        range_modulators=used,
                    )
                except BeamLineError as error:
                    yield str(error)
                except OptionError as error:
                    yield f"{line.path}: nozzle: {error}"
    if beam.name not in nozzle.emittance_mm_mrad:
        yield (
            f"{line.path}: nozzle.emittance_mm_mrad: {beam.name!r} is missing; add the emittance of that ion"
        )


def _covers(line: BeamLine, beam: IonBeam, optics: Optics) -> bool:
    """Whether the spot sizes are there for all energies; if not, that is another problem, and told."""
    table = line.optics.get((beam.name, optics.focus, optics.range_modulators))
    energy = line.energies[beam.name].energy_MeV_u
    return (
        table is not None
        and bool(table.energy_MeV_u[0] <= energy[0])
        and bool(table.energy_MeV_u[-1] >= energy[-1])
    )
