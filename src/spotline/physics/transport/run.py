"""Running many primaries: batches on all cores, the same sums whatever the number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.errors import PhysicsError
from spotline.physics.transport.areas import Area
from spotline.physics.transport.geometry import Geometry
from spotline.physics.transport.history import Steps, run_histories
from spotline.physics.transport.reaction_tables import reaction_tables
from spotline.physics.transport.source import Source
from spotline.physics.transport.tables import transport_tables
from spotline.physics.transport.tally import SUMS, TallyArrays, TallyPlan, new_arrays
from spotline.physics.transport.waiting import Scratch, new_scratch
from spotline.random import stream_key

BATCHES = 32
"""Sums are made of so many parts, from whose spread the uncertainty comes."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TransportPhysics:
    """What particles do on their way, and how finely it is followed.

    Attributes
    ----------
    steps : Steps
        How long the steps are.
    excitation_eV : float or None
        I of water; None: what holds for each ion.
    reactions : bool
        Whether particles react; without, what is left is slowing down and scattering, for which there is
        theory to compare with.
    """

    steps: Steps = Steps()  # noqa: RUF009 - a tuple of numbers
    excitation_eV: float | None = None
    reactions: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What was scored, per primary: means over batches.

    Attributes
    ----------
    primaries : int
    depth_mm : ndarray, shape (nz + 1,)
        Boundaries of the depth bins.
    energy_MeV : ndarray, shape (10, nz)
        Energy left in a bin: by primaries that have not reacted (0), by secondaries of charge number 1 to 8,
        and on the spot by reactions (9).
    energy_error_MeV : ndarray, shape (nz,)
        Standard error of the sum over groups.
    areas : tuple of Area
    within_MeV : ndarray, shape (na, nz)
        Part of the sum in each area.
    let_MeV_keV_um : ndarray, shape (10, nz)
        Energy times LET by the same groups; 0 for what reactions leave on the spot.
    ring_depth_mm, ring_mm : ndarray, shapes (nzc + 1,) and (nr + 1,)
    ring_MeV : ndarray, shape (nzc, nr)
        Energy by depth and distance from the axis.
    plane_mm : ndarray, shape (np,)
    crossing : ndarray, shape (np, 10)
        Particles that cross a plane forward.
    layer_mm : ndarray, shape (nl, 2)
    spectrum_MeV_u : ndarray, shape (ne + 1,)
        Boundaries of the energy bins; particles outside are in the first and last one.
    fluence : ndarray, shape (nl, 10, ne)
        In a layer and energy bin, integrated across the beam: length of track over thickness.  What reactions
        leave on the spot has none.
    voxel_MeV, voxel_error_MeV, voxel_let_MeV_keV_um : ndarray, shape (nx, ny, nz)
        Energy per voxel, its standard error, and energy times LET; empty if not asked for.
    lost : int
        Secondaries that found no room on the stack, in all; 0 in any run worth its name.
    """

    primaries: int
    depth_mm: Floats
    energy_MeV: Floats
    energy_error_MeV: Floats
    areas: tuple[Area, ...]
    within_MeV: Floats
    let_MeV_keV_um: Floats
    ring_depth_mm: Floats
    ring_mm: Floats
    ring_MeV: Floats
    plane_mm: Floats
    crossing: Floats
    layer_mm: Floats
    spectrum_MeV_u: Floats
    fluence: Floats
    voxel_MeV: Floats
    voxel_error_MeV: Floats
    voxel_let_MeV_keV_um: Floats
    lost: int

    @property
    def total_MeV(self) -> Floats:
        """Energy left in a depth bin by all; shape (nz,)."""
        total: Floats = self.energy_MeV.sum(axis=0)
        return total

    def in_area_MeV(self, name: str) -> Floats:
        """Energy left in a depth bin within one of the areas; shape (nz,).

        Raises
        ------
        PhysicsError
            If it was not scored.
        """
        names = [area.name for area in self.areas]
        if name not in names:
            raise PhysicsError(f"area {name!r}: was not scored; these were: {', '.join(names) or 'none'}")
        return self.within_MeV[names.index(name)]


def simulate(
    source: Source,
    geometry: Geometry,
    plan: TallyPlan,
    *,
    primaries: int,
    seed: int,
    threads: int | None = None,
    progress: Progress | None = None,
    physics: TransportPhysics = TransportPhysics(),
) -> Tally:
    """Transport a beam through a geometry.

    Parameters
    ----------
    source : Source
    geometry : Geometry
    plan : TallyPlan
        What to score.
    primaries : int
        How many, at least 32.
    seed : int
        The same seed gives the same numbers, whatever the number of threads.
    threads : int, optional
        By default as many as there are processors.
    progress : callable, optional
        Called with the primaries that are done and all.
    physics : TransportPhysics
        By default all of it, in the usual steps.

    Returns
    -------
    Tally

    Raises
    ------
    PhysicsError
        If a figure cannot be, or the source lies outside the geometry.
    """
    if primaries < BATCHES:
        raise PhysicsError(f"transport: {primaries} primaries; ask for at least {BATCHES}, one per batch")
    first_mm, last_mm = geometry.arrays.z_mm[0], geometry.arrays.z_mm[-1]
    begins_mm = source.arrays.beam[4] - source.arrays.filter_mm.max()
    if not first_mm <= begins_mm < last_mm:
        raise PhysicsError(
            f"transport: the source begins at z = {begins_mm:g} mm, the geometry reaches from {first_mm:g} "
            f"to {last_mm:g} mm; put the source into it"
        )
    tables = transport_tables(
        geometry.materials, source.energy_MeV_u, physics.excitation_eV, physics.reactions
    )
    nuclear = reaction_tables(geometry.materials)
    key = stream_key(seed)
    bounds = np.linspace(0, primaries, BATCHES + 1).astype(int)

    def run(batch: int, arrays: TallyArrays, scratch: Scratch) -> None:
        # Random numbers wrap around, which NumPy would warn of where kernels are not compiled.
        with np.errstate(over="ignore"):
            run_histories(
                int(bounds[batch]),
                int(bounds[batch + 1] - bounds[batch]),
                key,
                source.species,
                source.arrays,
                tables,
                nuclear,
                geometry.arrays,
                physics.steps,
                arrays,
                scratch,
            )

    shape = geometry.arrays.density_g_cm3.shape
    count = min(BATCHES, threads or os.cpu_count() or 1)
    memory = [(new_arrays(plan, shape), new_scratch()) for _ in range(count)]
    sums = new_arrays(plan, shape)
    squares = {name: np.zeros_like(_per_bin(sums, name)) for name in ("energy", "voxel_energy")}
    for batch, arrays in _in_order(run, memory):
        n = bounds[batch + 1] - bounds[batch]
        for name, square in squares.items():
            square += _per_bin(arrays, name) ** 2 / n
        for name in SUMS:
            array = getattr(arrays, name)
            getattr(sums, name)[...] += array
            array[...] = 0.0
        if progress is not None:
            progress(int(bounds[batch + 1]), primaries)
    return _tally(plan, sums, squares, primaries, sum(int(scratch.lost[0]) for _, scratch in memory))


def _per_bin(arrays: TallyArrays, name: str) -> Floats:
    array: Floats = getattr(arrays, name)
    return array.sum(axis=0) if name == "energy" else array


def _in_order(
    run: Callable[[int, TallyArrays, Scratch], None], memory: list[tuple[TallyArrays, Scratch]]
) -> Iterator[tuple[int, TallyArrays]]:
    """Run all batches, on as many threads as there is memory for, and yield each in its turn."""
    pool = ThreadPoolExecutor(len(memory))
    try:
        running: dict[int, Future[None]] = {}
        for batch in range(BATCHES + len(memory)):
            done = batch - len(memory)
            if done >= 0:
                running.pop(done).result()
                yield done, memory[done % len(memory)][0]
            if batch < BATCHES:
                running[batch] = pool.submit(run, batch, *memory[batch % len(memory)])
    finally:
        # After an error or an interruption nobody waits for batches that are under way.
        pool.shutdown(wait=False, cancel_futures=True)


def _tally(
    plan: TallyPlan, sums: TallyArrays, squares: dict[str, Floats], primaries: int, lost: int
) -> Tally:
    """Divide the sums by the number of primaries."""
    means = {name: getattr(sums, name) / primaries for name in SUMS}

    def error(name: str) -> Floats:
        mean = _per_bin(sums, name) / primaries
        variance = np.maximum(0.0, squares[name] / primaries - mean**2)
        result: Floats = np.sqrt(variance / (BATCHES - 1))
        return result

    return Tally(
        primaries=primaries,
        depth_mm=sums.z_mm,
        energy_MeV=means["energy"],
        energy_error_MeV=error("energy"),
        areas=plan.areas,
        within_MeV=means["within"],
        let_MeV_keV_um=means["let"],
        ring_depth_mm=np.asarray(plan.ring_depth_mm, dtype=float),
        ring_mm=np.asarray(plan.ring_mm, dtype=float),
        ring_MeV=means["ring"],
        plane_mm=np.asarray(plan.plane_mm, dtype=float),
        crossing=means["crossing"],
        layer_mm=np.asarray(plan.layer_mm, dtype=float).reshape(-1, 2),
        spectrum_MeV_u=np.asarray(plan.spectrum_MeV_u, dtype=float),
        fluence=means["fluence"],
        voxel_MeV=means["voxel_energy"],
        voxel_error_MeV=error("voxel_energy"),
        voxel_let_MeV_keV_um=means["voxel_let"],
        lost=lost,
    )
