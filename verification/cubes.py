"""Cubes of homogeneous dose by the engine and by the Monte Carlo, spot by spot.

::

    python -m verification.cubes --write docs/reference/verification-cubes.md

The plans are made as `spotline plan cube` makes them.  The Monte Carlo scans every layer over its spots in
water, with nozzle and ripple filters as water before the surface, and knows nothing of the beam library.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

import spotline
from spotline.arrays import Floats
from spotline.dose.engine.beams import FieldBeams, LayerBeam, beams_of_treatment
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G
from spotline.dose.grid import Grid
from spotline.machine.library import Thickness, in_beam
from spotline.machine.library.build import energy_sigma
from spotline.machine.optics import beam_at
from spotline.measurement import Limits
from spotline.physics.transport.geometry import voxels
from spotline.physics.transport.run import simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from spotline.planning.cubes import Cube, CubeDose, cube_plan
from spotline.planning.phantom_plan import Setup
from verification.figures import Figure, figure, judge, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say

LINE = "cnao-v"
CASES = (("carbon", ("RIFI1", "RIFI2")), ("proton", ()))
SIZE_mm, DEPTH_mm = 60.0, 150.0
VOXEL_mm = 3.0
HALF_mm = 48.0
BEHIND_mm = 60.0
INNER_mm = 24.0
"""Half width of the part of the cube over which dose is averaged at each depth."""
GOAL = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What both make of a cube, on the same voxels (x, y, depth)."""

    ion: str
    plan: spotline.Plan
    cube: CubeDose
    engine_Gy: Floats
    monte_carlo_Gy: Floats
    error_Gy: Floats
    primaries: int
    wall_s: float


def axes() -> tuple[Floats, Floats]:
    """Edges of the voxels across the beam and in depth."""
    across = np.arange(-HALF_mm, HALF_mm + 1e-6, VOXEL_mm)
    return across, np.arange(0.0, DEPTH_mm + BEHIND_mm + 1e-6, VOXEL_mm)


def run_case(ion: str, modulators: tuple[str, ...], primaries: int) -> Found:
    """Make a cube and compute it twice."""
    line = spotline.load_beamline(LINE)
    say(f"{ion}: optimising ...")
    plan, cube = cube_plan(
        Setup(ion=ion, beamline=line, range_modulators=modulators), Cube(size_mm=SIZE_mm, depth_mm=DEPTH_mm)
    )
    (beams,) = beams_of_treatment(spotline.prepare(plan, line))
    across, depth = axes()
    n, m = len(across) - 1, len(depth) - 1
    # From above: x of the beam is x of the patient, its y is z, and depth runs along y.
    grid = Grid(
        (across[0] + VOXEL_mm / 2, -DEPTH_mm + VOXEL_mm / 2, across[0] + VOXEL_mm / 2),
        (VOXEL_mm, VOXEL_mm, VOXEL_mm),
        (n, m, n),
    )
    engine = DoseEngine(line, Patient(np.ones(grid.shape, dtype=np.float32), grid), grid)
    engine.add([beams])
    began = time.perf_counter()
    dose, variance = np.zeros((n, n, m)), np.zeros((n, n, m))
    for number, layer in enumerate(beams.layers):
        say(f"{ion}: simulating layer {number + 1} of {len(beams.layers)} ...")
        share = layer.spots.particles.sum() / beams.particles
        one, error = simulated(line, beams, layer, max(3200, round(primaries * share)), number)
        dose += one
        variance += error**2
    return Found(
        ion,
        plan,
        cube,
        np.transpose(engine.dose_Gy, (2, 0, 1)),
        dose,
        np.sqrt(variance),
        primaries,
        time.perf_counter() - began,
    )


def simulated(
    line: spotline.BeamLine, beams: FieldBeams, layer: LayerBeam, primaries: int, seed: int
) -> tuple[Floats, Floats]:
    """Dose of a layer and its standard error, in Gy."""
    ion = beams.ion
    phase = beam_at(
        line, ion.name, layer.energy_MeV_u, "x", focus=layer.focus,
        passive_elements=beams.passive_elements, to_isocentre_mm=DEPTH_mm,
    ).phase_space  # fmt: skip
    geometry = line.facts.geometry
    spots = layer.spots
    slope = [
        spots.x_mm / geometry.x_source_to_isocentre_mm,
        spots.y_mm / geometry.y_source_to_isocentre_mm,
    ]
    scanned = np.column_stack(
        [
            spots.x_mm - DEPTH_mm * slope[0],
            spots.y_mm - DEPTH_mm * slope[1],
            1e3 * slope[0],
            1e3 * slope[1],
            spots.particles,
        ]
    )
    thickness = in_beam(line, ion.name, range_modulators=beams.passive_elements)
    beam = line.beam(ion.name)
    assert beam is not None
    source = pencil_source(
        ion,
        layer.energy_MeV_u,
        sigma_relative=energy_sigma(ion, layer.energy_MeV_u, beam.momentum_spread_percent),
        ripple_mm=quantiles_mm(thickness),
        phase_space=phase,
        spots=scanned,
    )
    across, depth = axes()
    wide = np.concatenate([[-500.0], across, [500.0]])
    deep = np.concatenate([[-20.0], depth])
    water = voxels(wide, wide, deep, np.ones((len(wide) - 1, len(wide) - 1, len(deep) - 1)))
    tally = simulate(
        source, water, TallyPlan(np.array([0.0, depth[-1]]), voxels=True), primaries=primaries, seed=seed
    )
    inner = (slice(1, -1), slice(1, -1), slice(1, None))
    to_Gy = float(spots.particles.sum()) * GY_PER_MEV_PER_G / (VOXEL_mm / 10.0) ** 3
    return tally.voxel_MeV[inner] * to_Gy, tally.voxel_error_MeV[inner] * to_Gy


def quantiles_mm(thickness: Thickness) -> Floats:
    """Quantiles of a distribution of thickness, at equal steps."""
    reached = np.concatenate([[0.0], np.cumsum(thickness.share)])
    edges = np.concatenate([thickness.thickness_mm[:1], thickness.thickness_mm])
    quantiles: Floats = np.interp(np.linspace(0.0, 1.0, 1001), reached, edges)
    return quantiles


def profile(found: Found) -> tuple[Floats, Floats, Floats, Floats]:
    """Depths in the cube, and dose of engine and Monte Carlo with its error over its inner part."""
    across, depth = axes()
    middle, deep = 0.5 * (across[1:] + across[:-1]), 0.5 * (depth[1:] + depth[:-1])
    inner = np.abs(middle) < INNER_mm
    inside = np.abs(deep - DEPTH_mm) < SIZE_mm / 2.0
    part = np.ix_(inner, inner, inside)
    count = inner.sum() ** 2
    error = np.sqrt(np.sum(found.error_Gy[part] ** 2, axis=(0, 1))) / count
    means = (array[part].mean(axis=(0, 1)) for array in (found.engine_Gy, found.monte_carlo_Gy))
    engine, monte_carlo = means
    return deep[inside], engine, monte_carlo, error


def voxels_of(found: Found) -> tuple[Floats, Floats, Floats]:
    """Dose of engine and Monte Carlo, and its error, in all voxels of the cube."""
    across, depth = axes()
    middle, deep = 0.5 * (across[1:] + across[:-1]), 0.5 * (depth[1:] + depth[:-1])
    inner = np.abs(middle) < SIZE_mm / 2.0
    part = np.ix_(inner, inner, np.abs(deep - DEPTH_mm) < SIZE_mm / 2.0)
    return found.engine_Gy[part], found.monte_carlo_Gy[part], found.error_Gy[part]


def rms(values: Floats) -> Figure:
    """Root mean square, in percent."""
    return percent(float(np.sqrt(np.mean(np.square(values)))), 2)


def page(all_found: list[Found]) -> list[str]:
    """Put the page together."""
    rows, voxel_rows, tables = [], [], []
    for found in all_found:
        depth, engine, monte_carlo, error = profile(found)
        inside = found.cube.dose_Gy[found.cube.target]
        (field,) = found.plan.fields
        rows.append(
            (
                found.ion,
                len(field.layers),
                field.n_spots,
                percent(float(np.abs(inside - 1.0).max()), 1),
                percent(float(np.abs(voxels_of(found)[0] - 1.0).max()), 1),
                percent(float(np.abs(engine - 1.0).max()), 1),
                percent(float(np.abs(monte_carlo - 1.0).max()), 1),
                percent(float(monte_carlo.mean() - 1.0), 2, sign=True),
                judge(
                    max(
                        float(np.abs(dose - 1.0).max()) for dose in (inside, voxels_of(found)[0], monte_carlo)
                    ),
                    Limits(high=GOAL),
                ),
            )
        )
        by_engine, by_chance, noise = voxels_of(found)
        voxel_rows.append(
            (
                found.ion,
                by_chance.size,
                rms(by_engine - 1.0),
                rms(by_chance - 1.0),
                rms(noise),
                figure(np.mean(((by_chance - by_engine) / noise) ** 2), ".2f"),
                percent(float(np.mean(np.abs(by_chance - 1.0) < GOAL + 2.0 * noise)), 1),
            )
        )
        tables += [
            f"## {found.ion.capitalize()}",
            fill(
                f"""Mean dose over {2 * INNER_mm:g} x {2 * INNER_mm:g} mm2 at each depth, of a prescription of
                1 Gy; {found.primaries} primaries, {found.wall_s:.0f} s."""
            ),
            table(
                ("depth (mm)", "engine (Gy)", "Monte Carlo (Gy)", "its error (Gy)"),
                [
                    (f"{z:.1f}", figure(e, ".4f"), figure(mc, ".4f", error=s), figure(s, ".4f"))
                    for z, e, mc, s in zip(depth, engine, monte_carlo, error, strict=True)
                ],
            ),
        ]
    return [
        "# Verification of the dose cubes",
        fill(
            f"""Made by `python -m verification.cubes --write docs/reference/verification-cubes.md` on
            {circumstances()}. Cubes of {SIZE_mm:g} mm at {DEPTH_mm:g} mm of water on {LINE}, as
            `spotline plan cube` makes them for 1 Gy, computed by the engine and by the Monte Carlo in
            voxels of {VOXEL_mm:g} mm. Asked for: within {percent(GOAL, 0)} of the prescription."""
        ),
        table(
            (
                "Ion",
                "layers",
                "spots",
                "points of the optimisation, worst",
                "engine by voxel, worst",
                "engine by depth, worst",
                "Monte Carlo by depth, worst",
                "its mean",
                "",
            ),
            rows,
            keys=1,
        ),
        fill(
            f"""By voxel the Monte Carlo is noise: below, the root mean square of the deviation from the
            prescription in all voxels of the cube up to its faces, with the noise that the Monte Carlo
            states; the mean square of its difference to the engine in units of the noise, 1 if there is
            nothing but noise; and how many of its voxels lie within {percent(GOAL, 0)} and twice their noise,
            which would be 95.4 % at the least if all lay within {percent(GOAL, 0)}."""
        ),
        table(
            (
                "Ion",
                "voxels",
                "engine",
                "Monte Carlo",
                "its noise",
                "(Monte Carlo - engine)^2 / noise^2",
                "voxels within",
            ),
            voxel_rows,
            keys=1,
        ),
        *tables,
    ]


def main(arguments: list[str]) -> int:
    """Compute, then print or write the page."""
    parser = page_parser("python -m verification.cubes", (__doc__ or "").splitlines()[0])
    parser.add_argument("--primaries", type=int, default=400_000)
    parser.add_argument("--ions", nargs="+", default=[ion for ion, _ in CASES])
    asked = parser.parse_args(arguments)
    found = [run_case(ion, names, asked.primaries) for ion, names in CASES if ion in asked.ions]
    put_page(page(found), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
