"""Making a beam library: one simulation of a pencil beam in water per energy."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from typing import Generic, ParamSpec

import numpy as np

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.hdf5 import keys_of
from spotline.machine import BeamLine
from spotline.machine.library.areas import CHAMBER, FIELD, as_header, check_areas
from spotline.machine.library.grid import (
    RING_EDGES_mm,
    depth_edges_mm,
    end_of_primaries,
    layers_mm,
    middles,
    range_sigma_mm,
    ring_depth_edges_mm,
    spectrum_edges_MeV_u,
)
from spotline.machine.library.headers import LateralResidual, LibraryHeader
from spotline.machine.library.lateral import fit_lateral
from spotline.machine.library.letd import LETD_GROUPS
from spotline.machine.library.model import BeamLibrary, Entry, stack
from spotline.machine.real_beams import differs_from_names, momentum_spread_percent, real_beam
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy, mean_excitation_eV
from spotline.physics.transport.areas import Area
from spotline.physics.transport.geometry import water
from spotline.physics.transport.run import BATCHES, Tally, TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import LOCAL, PRIMARY, TallyPlan
from spotline.random import stream_key
from spotline.tables import closest
from spotline.units import FWHM_PER_SIGMA

PRIMARIES = {"proton": 400_000, "helium": 200_000, "carbon": 400_000, "oxygen": 300_000}
"""Primaries per energy of the shipped libraries."""
FAINTEST = 1e-6
"""Where a group of particles leaves less than this part of the largest dose, its LETd is that of the depth
before."""

Steps = ParamSpec("Steps")


@dataclass(frozen=True, slots=True)
class Run(Generic[Steps]):
    """How something is simulated, without regard to what.

    Attributes
    ----------
    threads : int or None
        None: as many as there are processors.
    progress : callable or None
        Called as it goes on.
    """

    threads: int | None = None
    progress: Callable[Steps, None] | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """An entry as it was simulated.

    Attributes
    ----------
    entry : Entry
        What the library keeps.
    residual : float
        Part of the dose that the lateral model has in a wrong ring: mean over depths, weighted with dose.
    lost : int
        Secondaries for which the simulation had no room.
    """

    entry: Entry
    residual: float
    lost: int


def energy_sigma(ion: Ion, energy_MeV_u: float, momentum_spread_percent: float) -> float:
    """Relative standard deviation of the energy of a beam.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    momentum_spread_percent : float
        Full width at half maximum of the momentum distribution.
    """
    gamma = ion.gamma(energy_MeV_u)
    return momentum_spread_percent / 100.0 / FWHM_PER_SIGMA * (gamma + 1.0) / gamma


def simulate_entry(
    ion: Ion,
    energy_MeV_u: float,
    *,
    momentum_spread_percent: float,
    primaries: int,
    seed: int,
    areas: Sequence[Area] = (CHAMBER,),
    ripple_mm: Floats | None = None,
    run: Run[[int, int]] = Run(),
) -> Simulated:
    """Simulate one energy: a beam of no size and divergence that enters water from vacuum.

    Parameters
    ----------
    ion : Ion
        The beam.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    momentum_spread_percent : float
        Full width at half maximum of its momentum distribution.
    primaries, seed
        As of `spotline.physics.transport.run.simulate`; every energy has a randomness of its own.
    areas : sequence of Area
        In which depth doses are scored beside the field.
    ripple_mm : ndarray, optional
        Quantiles of a ripple filter of water in front of the water, to check the shortcut with.
    run : Run
        Its progress is called with the primaries that are done and all.
    """
    spread = energy_sigma(ion, energy_MeV_u, momentum_spread_percent)
    excitation_eV = mean_excitation_eV(ion, WATER)
    range_mm = float(RangeEnergy(ion, WATER, excitation_eV).range_mm(energy_MeV_u))
    sigma_mm = range_sigma_mm(ion, energy_MeV_u, spread)
    start_mm = 0.0
    if ripple_mm is not None:
        range_mm -= float(ripple_mm.mean())
        sigma_mm = math.hypot(sigma_mm, float(ripple_mm.std()))
        start_mm = -float(ripple_mm.max()) - 0.1
    edges = depth_edges_mm(range_mm, sigma_mm)
    plan = TallyPlan(
        depth_mm=edges,
        ring_depth_mm=_nearest(edges, ring_depth_edges_mm(range_mm, sigma_mm)),
        ring_mm=RING_EDGES_mm,
        layer_mm=layers_mm(edges, range_mm, sigma_mm),
        spectrum_MeV_u=spectrum_edges_MeV_u(energy_MeV_u),
        areas=(FIELD, *areas),
    )
    tally = simulate(
        pencil_source(ion, energy_MeV_u, sigma_relative=spread, ripple_mm=ripple_mm),
        water(edges[-1] - start_mm, start_mm),
        plan,
        primaries=primaries,
        seed=stream_key(seed, ion.charge_number, ion.mass_number, round(energy_MeV_u * 1e4)),
        threads=run.threads,
        progress=run.progress,
        physics=TransportPhysics(excitation_eV=excitation_eV),  # one water for the beam and its fragments
    )
    return condense(ion, energy_MeV_u, range_mm, sigma_mm, tally)


def condense(ion: Ion, energy_MeV_u: float, range_mm: float, sigma_mm: float, tally: Tally) -> Simulated:
    """Make the entry of a library from what was scored in water."""
    per_bin = 10.0 / np.diff(tally.depth_mm) / WATER.density_g_cm3  # MeV per bin to MeV cm2/g
    letd, share = letd_by_group(ion, tally)
    before, behind = end_of_primaries(tally.ring_depth_mm, range_mm, sigma_mm)
    fitted = fit_lateral(tally.ring_mm, tally.ring_MeV, before, behind)
    known = np.isfinite(fitted.residual)
    others = tuple(area for area in tally.areas if area.name != FIELD.name)
    entry = Entry(
        ion,
        energy_MeV_u,
        range_mm,
        sigma_mm,
        middles(tally.depth_mm),
        tally.in_area_MeV(FIELD.name) * per_bin,
        tally.within_MeV[[area in others for area in tally.areas]] * per_bin,
        tally.energy_error_MeV * per_bin,
        letd,
        share,
        middles(tally.ring_depth_mm),
        fitted.core_mm,
        fitted.halo_mm,
        fitted.halo_share,
        tally.layer_mm.mean(axis=1),
        tally.spectrum_MeV_u,
        tally.fluence,
        others,
    )
    residual = np.average(fitted.residual[known], weights=tally.ring_MeV.sum(axis=1)[known])
    return Simulated(entry, float(residual), tally.lost)


def letd_by_group(ion: Ion, tally: Tally) -> tuple[Floats, Floats]:
    """Return LETd in keV/um by `LETD_GROUPS`, and the part of the dose that each group leaves.

    Parameters
    ----------
    ion : Ion
        The beam.
    tally : Tally

    Returns
    -------
    letd_keV_um, share : ndarray, shape (3, nz)
        Before a group is first seen both are 0, behind the last of it LETd goes on as it was.
    """
    total = tally.total_MeV
    width_mm = np.diff(tally.depth_mm)
    faintest = FAINTEST * (total / width_mm).max() * width_mm
    letds, shares = [], []
    hydrogen = [PRIMARY, 1] if ion.charge_number == 1 else [1]
    for groups in ([PRIMARY], hydrogen, list(range(PRIMARY, LOCAL))):  # as LETD_GROUPS
        energy = tally.energy_MeV[groups].sum(axis=0)
        seen = energy > faintest
        last_seen = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), 0))
        let = tally.let_MeV_keV_um[groups].sum(axis=0)
        letds.append(np.where(seen, let / np.where(seen, energy, 1.0), 0.0)[last_seen])
        shares.append(np.where(seen, energy / np.where(seen, total, 1.0), 0.0))
    return np.array(letds), np.array(shares)


@dataclass(frozen=True, slots=True)
class Origin:
    """When and by what a library is made.

    Attributes
    ----------
    made : datetime
    command : str
        Command line, or nothing.
    """

    made: datetime
    command: str


def build_library(
    beamline: BeamLine,
    ion_name: str,
    *,
    origin: Origin,
    energies_MeV_u: Sequence[float] | None = None,
    areas: Sequence[Area] = (CHAMBER,),
    primaries: int | None = None,
    seed: int = 0,
    run: Run[[int, int, float]] = Run(),
) -> BeamLibrary:
    """Simulate all energies of an ion on a line, one after the other, each on all threads.

    If the line says that its beams are not what their energies say (`spotline.machine.real_beams`), the real
    ones are simulated, and kept under the energies that plans name.

    Parameters
    ----------
    beamline : BeamLine
        The line: its energies and momentum spread.
    ion_name : str
        Name of the ion.
    origin : Origin
        For the header.
    energies_MeV_u : sequence of float, optional
        Instead of all energies of the line: at least two.
    areas : sequence of Area
        In which there are depth doses beside the 25 x 25 cm2 of the field, such as what chambers see.
    primaries : int, optional
        Per energy; by default those of `PRIMARIES`.
    seed : int
        The same seed gives the same library, whatever the number of threads.
    run : Run
        Its progress is called with the energies that are done, all of them, and the share of the present one
        that is done.

    Raises
    ------
    OptionError
        If the line has no such ion, fewer than two energies or too few primaries are asked for, or two areas
        have one name.
    """
    beam = beamline.beam(ion_name)
    if beam is None:
        raise OptionError(
            f"ion {ion_name!r}: {beamline.name} does not deliver it; {closest(ion_name, beamline.ion_names)}"
        )
    asked = beamline.energies[ion_name].energy_MeV_u if energies_MeV_u is None else energies_MeV_u
    energies = [float(energy) for energy in np.unique(asked)]
    number = PRIMARIES[ion_name] if primaries is None else primaries
    if len(energies) < 2:
        raise OptionError(f"energies of {ion_name}: {len(energies)} make no library; give at least two")
    listed = beamline.energies[ion_name].energy_MeV_u
    differs = differs_from_names(beamline, ion_name)
    if differs and (energies[0] < listed[0] or energies[-1] > listed[-1]):
        raise OptionError(
            f"energies of {ion_name}: {energies[0]:g} to {energies[-1]:g} MeV/u; {beamline.name} says what "
            f"its beams are from {listed[0]:g} to {listed[-1]:g} MeV/u"
        )
    if not all(20.0 <= energy <= 500.0 for energy in energies):
        raise OptionError(
            f"energies of {ion_name}: {energies[0]:g} to {energies[-1]:g} MeV/u; use 20 to 500 MeV/u"
        )
    if number < BATCHES:
        raise OptionError(f"primaries: {number} are too few; give at least {BATCHES}")
    check_areas(areas)
    if run.threads is not None and run.threads < 1:
        raise OptionError(f"threads: {run.threads} do no work; give at least 1")
    made_of: list[Simulated] = []
    for done, energy in enumerate(energies):
        within = None if run.progress is None else _within(run.progress, done, len(energies))
        mean, spread_percent = energy, beam.momentum_spread_percent
        if differs:
            real = real_beam(beamline, ion_name, energy)
            mean, spread_percent = real.energy_MeV_u, momentum_spread_percent(beam.ion, *real)
        one = simulate_entry(
            beam.ion,
            mean,
            momentum_spread_percent=spread_percent,
            areas=areas,
            primaries=number,
            seed=seed,
            run=Run(run.threads, within),
        )
        made_of.append(replace(one, entry=replace(one.entry, energy_MeV_u=energy)))
    residuals = [simulated.residual for simulated in made_of]
    header = LibraryHeader(
        ion=ion_name,
        beamline=beamline.name,
        momentum_spread_percent=beam.momentum_spread_percent,
        areas=as_header(areas),
        letd_groups=LETD_GROUPS,
        mean_excitation_eV=mean_excitation_eV(beam.ion, WATER),
        primaries=number,
        seed=seed,
        made=origin.made.isoformat(timespec="seconds"),
        command=origin.command,
        versions={name: version(name) for name in ("spotline", "numpy", "numba")},
        physics_sha256=physics_sha256(),
        lateral_residual=LateralResidual(mean=float(np.mean(residuals)), largest=max(residuals)),
        lost=sum(simulated.lost for simulated in made_of),
    )
    return BeamLibrary(keys_of(header), stack([simulated.entry for simulated in made_of]))


def physics_sha256() -> str:
    """Hash of the sources on which the figures of a library depend."""
    from spotline.jit import PACKAGE, kernel_sources  # here: who has it on top is taken for a kernel

    digest = hashlib.sha256()
    for path in kernel_sources():
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("physics/") or name in ("random.py", "units.py"):
            content = path.read_bytes()
            digest.update(f"\n{name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _nearest(edges: Floats, wanted: Floats) -> Floats:
    """Those of the edges that lie closest to what is wanted, each once."""
    chosen = np.abs(edges[:, None] - wanted).argmin(axis=0)
    for k in range(1, len(chosen)):
        chosen[k] = max(chosen[k], chosen[k - 1] + 1)
    nearest: Floats = edges[chosen]
    return nearest


def _within(progress: Callable[[int, int, float], None], done: int, total: int) -> Callable[[int, int], None]:
    return lambda primaries, number: progress(done, total, primaries / number)
