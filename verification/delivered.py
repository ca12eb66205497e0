"""From the plan to the dose that was delivered: without faults, and with faults of known effect.

::

    python -m verification.delivered --write docs/reference/verification-delivered.md

Every row goes the whole way: a plan is prepared, delivered in the simulated room, read back from its record
and computed by the dose engine, as measured and as it truly was.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import spotline
from spotline.arrays import Booleans
from spotline.dose.engine.beams import What
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import Reconstruction, reconstruct
from spotline.dose.evaluation.dvh import dose_statistics
from spotline.dose.evaluation.gamma import gamma_index
from spotline.dose.grid import DoseGrid, Grid
from spotline.measurement import Limits
from spotline.planning.cubes import Cube, cube_plan
from spotline.planning.phantom_plan import Setup
from verification import delivered_faults
from verification.delivered_faults import Agreement
from verification.figures import figure, judge, table
from verification.page import circumstances, fill, page_parser, put_page, say

SHARED = Path(__file__).resolve().parents[2] / "shared"


LINE = "cnao-v"
VOXEL_mm = 2.0
GOAL_percent = 1.0
RIPPLE = {"carbon": ("RIFI1", "RIFI2"), "proton": ()}
CUBES = (("proton", 60.0, 150.0), ("carbon", 60.0, 150.0))
"""Ion, side and depth in mm, besides the small cube of protons."""
TWO_FIELDS_SURFACE_mm = 102.5


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What is delivered, and where its dose is looked at.

    Attributes
    ----------
    name : str
    treatment : Treatment
    patient : Patient
        Water.
    target : ndarray of bool, shape (nz, ny, nx)
    """

    name: str
    treatment: spotline.Treatment
    patient: Patient
    target: Booleans

    def dose(self, source: spotline.Record | Sequence[spotline.Record]) -> Reconstruction:
        """Reconstruct."""
        line = self.treatment.beamline
        return reconstruct(source, line, self.patient, self.patient.grid)


def cube_case(ion: str, size_mm: float, depth_mm: float) -> Case:
    """Make a cube in water."""
    line = spotline.load_beamline(LINE)
    say(f"{ion} cube of {size_mm:g} mm: optimising ...")
    setup = Setup(ion=ion, beamline=line, range_modulators=RIPPLE[ion])
    plan, _ = cube_plan(setup, Cube(size_mm=size_mm, depth_mm=depth_mm))
    treatment = spotline.prepare(plan, line)
    water = spotline.water_phantom(treatment, depth_mm, VOXEL_mm)
    target = _within(water.grid, size_mm / 2.0)
    return Case(f"{ion}, {size_mm:g} mm at {depth_mm:g} mm", treatment, water, target)


def two_fields_case() -> Case:
    """Take the two opposed fields of the RayStation plan of DCPT, in water."""
    line = spotline.load_beamline("dcpt-like")
    plan = spotline.read_plan(SHARED / "plans" / "dcpt" / "raystation_ramp_full_plan.dcm")
    treatment = spotline.prepare(plan, line)
    patient = spotline.water_phantom(treatment, TWO_FIELDS_SURFACE_mm, VOXEL_mm)
    planned = reconstruct(treatment, line, patient, patient.grid).doses["planned"].physical
    target = planned.dose_Gy > 0.9 * planned.dose_Gy.max()
    return Case("proton, two fields of DCPT", treatment, patient, target)


def _within(grid: Grid, half_mm: float) -> Booleans:
    """Voxels whose centre is in a cube around the isocentre."""
    x, y, z = (np.abs(axis) <= half_mm for axis in (grid.x_mm, grid.y_mm, grid.z_mm))
    inside: Booleans = z[:, None, None] & y[None, :, None] & x[None, None, :]
    return inside


def agreement(what: str, of: str, planned: DoseGrid, delivered: DoseGrid, target: Booleans) -> Agreement:
    """Hold a delivered dose against the planned one."""
    local = 100.0 * (delivered.dose_Gy[target] / planned.dose_Gy[target] - 1.0)
    ours, theirs = (dose_statistics(dose, target) for dose in (planned, delivered))
    rates = tuple(
        100.0 * gamma_index(planned, delivered, dose_percent=size, distance_mm=size).pass_rate
        for size in (1.0, 2.0)
    )
    return Agreement(
        what,
        of,
        float(local.mean()),
        float(np.abs(local).mean()),
        float(np.abs(local).max()),
        float(100.0 * np.mean(np.abs(local) <= GOAL_percent)),
        100.0 * (theirs.D95_Gy / ours.D95_Gy - 1.0),
        100.0 * (theirs.D2_Gy / ours.D2_Gy - 1.0),
        (rates[0], rates[1]),
    )


def without_faults(case: Case, seeds: Sequence[int]) -> list[Agreement]:
    """Deliver with several seeds, and keep the seed with the worst voxel of each kind of dose."""
    found: dict[What, list[Agreement]] = {"measured": [], "true": []}
    for seed in seeds:
        say(f"{case.name}: delivering with seed {seed} ...")
        with tempfile.TemporaryDirectory() as name:
            record = spotline.deliver(case.treatment, Path(name) / "record", seed=seed, documents=False)
            done = case.dose(record)
        if record.summary["status"] != "complete":
            raise SystemExit(f"{case.name}, seed {seed}: stopped by {record.summary['interlocks']}")
        for of, rows in found.items():
            planned, delivered = done.doses["planned"].physical, done.doses[of].physical
            rows.append(agreement(case.name, of, planned, delivered, case.target))
            say(str(rows[-1]))
    return [max(rows, key=lambda row: row.worst) for rows in found.values()]


HEADS = (
    "Delivery",
    "dose",
    "mean (%)",
    "mean size (%)",
    "worst voxel (%)",
    "voxels within 1 % (%)",
    "D95 (%)",
    "D2 (%)",
    "gamma 1 %/1 mm (%)",
    "2 %/2 mm (%)",
    "worst within 1 %",
)


def row_of(one: Agreement) -> tuple[str, ...]:
    """A row of the table."""
    return (
        one.what,
        one.of,
        figure(one.mean, "+.2f"),
        figure(one.mean_size, ".2f"),
        figure(one.worst, ".2f"),
        figure(one.within, ".2f"),
        figure(one.d95, "+.2f"),
        figure(one.d2, "+.2f"),
        *(figure(rate, ".2f") for rate in one.gamma),
        judge(one.worst, Limits(high=GOAL_percent), "%"),
    )


def page(
    rows: list[Agreement], faults: delivered_faults.Results, seeds: Sequence[int], wall_s: float
) -> list[str]:
    """Put the page together."""
    return [
        "# Verification: delivered dose",
        fill(
            f"""From the plan to the dose that was delivered: prepared, delivered in the simulated room, read
            back from the record and computed by the [engine](../explanation/dose-engine.md) in water, in
            voxels of {VOXEL_mm:g} mm. *Measured* takes the counts of INT1 and the positions of the strips,
            *true* the ions that the room let through and where they were. Asked for: within {GOAL_percent:g}
            % of the planned dose without a fault, and with a fault the difference that is known
            beforehand."""
        ),
        "## Without a fault",
        fill(
            f"""Local difference to the planned dose (delivered - planned) / planned, in all voxels of the
            target: the cube up to its faces; for the plan of DCPT, on a line made of its beam model, what
            gets more than 90 % of the maximum. The small cube was delivered with the seeds
            {", ".join(map(str, seeds))}, of which the one with the worst voxel is shown, the others with
            the first only."""
        ),
        table(HEADS, [row_of(one) for one in rows]),
        fill(delivered_faults.WHY_NOT_ZERO),
        *delivered_faults.sections(faults),
        f"<sub>`python -m verification.delivered`, {wall_s:.0f} s; {circumstances()}</sub>",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Deliver, compute, and print or write the page."""
    parser = page_parser("python -m verification.delivered", (__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="deliveries of the small cube (3)")
    parser.add_argument("--quick", action="store_true", help="the small proton cube only")
    asked = parser.parse_args(arguments)
    began, seeds = time.perf_counter(), range(1, asked.seeds + 1)
    small = cube_case("proton", 30.0, 100.0)

    def judge(planned: DoseGrid, delivered: DoseGrid) -> Agreement:
        return agreement("", "", planned, delivered, small.target)

    faults = delivered_faults.deliver_all(small.treatment, small.patient, small.target, judge)
    rows = without_faults(small, seeds)
    makers: list[Callable[[], Case]] = [partial(cube_case, *cube) for cube in CUBES]
    if SHARED.exists():
        makers.append(two_fields_case)
    for make in () if asked.quick else makers:
        rows += without_faults(make(), seeds[:1])
    put_page(page(rows, faults, list(seeds), time.perf_counter() - began), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
