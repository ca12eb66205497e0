"""Making the beam library of a line whose beams are not what their energies say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.hdf5 import keys_of
from spotline.machine.beams import differs_from_names, momentum_spread_percent, real_beam
from spotline.machine.library.areas import CHAMBER, as_header, check_areas
from spotline.machine.library.build import (
    PRIMARIES,
    Origin,
    Run,
    Simulated,
    build_library,
    physics_sha256,
    simulate_entry,
)
from spotline.machine.library.headers import LateralResidual, LibraryHeader
from spotline.machine.library.model import BeamLibrary, stack
from spotline.machine.load import BeamLine
from spotline.physics.materials import WATER
from spotline.physics.stopping import mean_excitation_eV
from spotline.physics.transport.areas import Area
from spotline.physics.transport.run import BATCHES

DEFAULT_RUN: Run[[int, int, float]] = Run()


def build_line_library(
    line: BeamLine,
    ion_name: str,
    *,
    origin: Origin,
    energies_MeV_u: Sequence[float] | None = None,
    areas: Sequence[Area] = (CHAMBER,),
    primaries: int | None = None,
    seed: int = 0,
    run: Run[[int, int, float]] = DEFAULT_RUN,
) -> BeamLibrary:
    """Simulate the beams of an ion on a line; parameters and errors as of `build_library`.

    Of a line whose beams are what their energies say it is `build_library`.
    """
    beam = line.beam(ion_name)
    if beam is None or not differs_from_names(line, ion_name):
        return build_library(
            line,
            ion_name,
            origin=origin,
            energies_MeV_u=energies_MeV_u,
            areas=areas,
            primaries=primaries,
            seed=seed,
            run=run,
        )
    listed = line.energies[ion_name].energy_MeV_u
    energies = np.unique(listed if energies_MeV_u is None else np.asarray(energies_MeV_u, dtype=float))
    number = PRIMARIES[ion_name] if primaries is None else primaries
    _check(line, ion_name, energies, number, run.threads)
    check_areas(areas)
    made_of: list[Simulated] = []
    for energy in energies.tolist():
        within = None if run.progress is None else _within(run.progress, len(made_of), len(energies))
        real = real_beam(line, ion_name, energy)
        one = simulate_entry(
            beam.ion,
            real.energy_MeV_u,
            momentum_spread_percent=momentum_spread_percent(beam.ion, *real),
            areas=areas,
            primaries=number,
            seed=seed,
            run=Run(run.threads, within),
        )
        made_of.append(replace(one, entry=replace(one.entry, energy_MeV_u=energy)))
    residuals = [one.residual for one in made_of]
    header = LibraryHeader(
        ion=ion_name,
        beamline=line.name,
        momentum_spread_percent=beam.momentum_spread_percent,
        areas=as_header(areas),
        mean_excitation_eV=mean_excitation_eV(beam.ion, WATER),
        primaries=number,
        seed=seed,
        made=origin.made.isoformat(timespec="seconds"),
        command=origin.command,
        versions={name: version(name) for name in ("spotline", "numpy", "numba")},
        physics_sha256=physics_sha256(),
        lateral_residual=LateralResidual(mean=float(np.mean(residuals)), largest=max(residuals)),
        lost=sum(one.lost for one in made_of),
    )
    return BeamLibrary(keys_of(header), stack([one.entry for one in made_of]))


def _within(progress: Callable[[int, int, float], None], done: int, total: int) -> Callable[[int, int], None]:
    return lambda primaries, number: progress(done, total, primaries / number)


def _check(line: BeamLine, ion_name: str, energies: Floats, primaries: int, threads: int | None) -> None:
    listed = line.energies[ion_name].energy_MeV_u
    if len(energies) < 2:
        raise OptionError(f"energies of {ion_name}: {len(energies)} make no library; give at least two")
    if energies[0] < listed[0] or energies[-1] > listed[-1]:
        raise OptionError(
            f"energies of {ion_name}: {energies[0]:g} to {energies[-1]:g} MeV/u; {line.name} says what its "
            f"beams are from {listed[0]:g} to {listed[-1]:g} MeV/u"
        )
    if primaries < BATCHES:
        raise OptionError(f"primaries: {primaries} are too few; give at least {BATCHES}")
    if threads is not None and threads < 1:
        raise OptionError(f"threads: {threads} do no work; give at least 1")
