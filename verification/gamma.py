"""Gamma against pymedphys: the same doses, the values, the pass rates and the time.

::

    python -m verification.gamma --write docs/reference/verification-gamma.md

pymedphys is no dependency of Spotline; install it beside it for this page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spotline.arrays import Floats
from spotline.dicom.dose import read_dose
from spotline.dose.evaluation.gamma import TOLERANCE, GammaResult, gamma_index
from spotline.dose.grid import DoseGrid, Grid
from spotline.measurement import Limits
from verification.figures import Figure, figure, held, judge, table
from verification.page import circumstances, fill, page_parser, put_page, say

ROOT = Path(__file__).resolve().parents[1]
RAYSTATION = ROOT.parent / "shared" / "plans" / "dcpt" / "raystation_ramp_full_dose_total.dcm"

AGREE_points = 0.1
"""Percentage points that pass rates may be apart."""
FASTER = 20.0

Doses = tuple[DoseGrid, DoseGrid]
Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """Two doses, and with which criteria they are compared."""

    name: str
    doses: Callable[[], Doses]
    options: Options


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    name: str
    ours: GammaResult
    ours_s: dict[int, float]
    """Least time by number of threads."""
    theirs: np.ndarray
    theirs_s: float

    @property
    def apart(self) -> np.ndarray:
        """Their gamma minus ours, of all points that both compared."""
        found = self.theirs - self.ours.gamma
        return found[np.isfinite(found)]

    @property
    def theirs_percent(self) -> float:
        """Their pass rate."""
        values = self.theirs[np.isfinite(self.theirs)]
        return float(100.0 * np.mean(values <= 1.0))


def cube(n: int, spacing_mm: float) -> DoseGrid:
    """A field of 2 Gy with penumbras and a distal edge, in n^3 voxels, 60 % as wide as they."""
    return _cube(n, spacing_mm, (0.0, 0.0, 0.0), 1.0, 0.0)


def far_cube(n: int, spacing_mm: float) -> DoseGrid:
    """The same, 2 % higher and moved by (1.2, -0.9, 1.5) mm, so that many gammas are near 1."""
    return _cube(n, spacing_mm, (1.2, -0.9, 1.5), 1.02, 0.0)


def changed_cube(n: int, spacing_mm: float, noise: float) -> DoseGrid:
    """The same, 1 % higher, moved by (0.7, -0.5, 1.0) mm, with noise in parts of the maximum."""
    return _cube(n, spacing_mm, (0.7, -0.5, 1.0), 1.01, noise)


def _cube(
    n: int, spacing_mm: float, shift_mm: tuple[float, float, float], scale: float, noise: float
) -> DoseGrid:
    first_mm = -0.5 * (n - 1) * spacing_mm
    grid = Grid((first_mm,) * 3, (spacing_mm,) * 3, (n, n, n))
    half_mm = 0.3 * n * spacing_mm

    def edge(place_mm: Floats, sigma_mm: float) -> Floats:
        return np.asarray(1.0 / (1.0 + np.exp(-(half_mm - np.abs(place_mm)) / sigma_mm)))

    x, y, z = grid.x_mm - shift_mm[0], grid.y_mm - shift_mm[1], grid.z_mm - shift_mm[2]
    dose_Gy = 2.0 * scale * edge(z, 1.5)[:, None, None] * edge(y, 2.5)[:, None] * edge(x, 2.5)
    dose_Gy += 2.0 * noise * np.random.default_rng(1).standard_normal(dose_Gy.shape)
    return DoseGrid(grid, dose_Gy.astype(np.float32))


def raystation() -> Doses:
    """A planned dose, and the same moved by (1, -1, 1.5) mm and 1.5 % lower."""
    dose = read_dose(RAYSTATION)
    x, y, z = dose.grid.origin_mm
    grid = Grid((x + 1.0, y - 1.0, z + 1.5), dose.grid.spacing_mm, dose.grid.shape)
    return dose, DoseGrid(grid, 0.985 * dose.dose_Gy, dose.kind)


def cases() -> list[Case]:
    """Doses of a million voxels."""
    usual: Options = {"dose_percent": 3.0, "distance_mm": 2.0}

    def cubes(noise: float, spacing_mm: float = 2.0) -> Callable[[], Doses]:
        return lambda: (cube(100, spacing_mm), changed_cube(100, spacing_mm, noise))

    found = [
        Case("100^3 of 2 mm, smooth", cubes(0.0), usual),
        Case("the same, local", cubes(0.0), usual | {"local": True}),
        Case("100^3 of 2 mm, 0.5 % noise", cubes(0.005), usual),
        Case("100^3 of 1 mm, smooth", cubes(0.0, 1.0), usual),
        Case("100^3 of 2 mm, moved further", lambda: (cube(100, 2.0), far_cube(100, 2.0)), usual),
    ]
    if RAYSTATION.is_file():
        found.append(Case("a RayStation dose, moved and lower", raystation, usual))
    return found


def run_case(case: Case, rounds: int) -> Outcome:
    """Compute gamma with both."""
    reference, evaluated = case.doses()
    seconds: dict[int, float] = {}
    for threads in (1, 2):
        gamma_index(reference, evaluated, **case.options, threads=threads)  # compiles
    theirs_s = np.inf
    for _ in range(rounds):
        for threads in (1, 2):
            began = time.perf_counter()
            ours = gamma_index(reference, evaluated, **case.options, threads=threads)
            seconds[threads] = min(seconds.get(threads, np.inf), time.perf_counter() - began)
        began = time.perf_counter()
        theirs = pymedphys_gamma(reference, evaluated, case.options)
        theirs_s = min(theirs_s, time.perf_counter() - began)
    return Outcome(case.name, ours, seconds, theirs, theirs_s)


def pymedphys_gamma(reference: DoseGrid, evaluated: DoseGrid, options: Options, steps: int = 10) -> Any:
    """Gamma by pymedphys; its options are its own defaults, but for cut-off and largest gamma."""
    import pymedphys

    def axes(grid: Grid) -> tuple[np.ndarray, ...]:
        return grid.z_mm, grid.y_mm, grid.x_mm

    return pymedphys.gamma(
        axes(reference.grid),
        reference.dose_Gy.astype(float),
        axes(evaluated.grid),
        evaluated.dose_Gy.astype(float),
        options["dose_percent"],
        options["distance_mm"],
        lower_percent_dose_cutoff=10,
        local_gamma=options.get("local", False),
        max_gamma=2.0,
        interp_fraction=steps,
    )


def closed_forms() -> list[tuple[str, Figure, Figure]]:
    """Largest deviation from gammas that are known."""

    def gamma(reference: Floats, evaluated: Floats) -> GammaResult:
        doses = (DoseGrid(grid, dose.astype(np.float32)) for dose in (reference, evaluated))
        return gamma_index(*doses, **usual)

    rows = []
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (21, 21, 21))
    x, y, z = grid.x_mm, grid.y_mm[:, None], grid.z_mm[:, None, None]
    ramp = 5.0 + 0.03 * x - 0.02 * y + 0.04 * z
    usual: Options = {"dose_percent": 3.0, "distance_mm": 2.0, "normalisation_Gy": 1.0}
    inner = (slice(5, -5),) * 3
    found = gamma(ramp, ramp + 0.04).gamma[inner]
    expected = 0.04 / np.hypot(0.03, 2.0 * np.linalg.norm([0.03, 0.02, 0.04]))
    rows.append(
        ("oblique ramp, moved", figure(expected, ".4f"), figure(np.abs(found - expected).max(), ".1e"))
    )
    flat = np.ones(grid.shape)
    found = gamma(flat, 1.02 * flat).gamma
    rows.append(
        ("uniform dose, 2 % higher", figure(2 / 3, ".4f"), figure(np.abs(found - 2 / 3).max(), ".1e"))
    )
    step, moved = (np.where(x < edge, 1.0, 0.0) * flat for edge in (12, 10))
    found = gamma(step, moved).gamma[:, :, 10]
    expected = 0.5 / np.sqrt(1.0 + 0.25 * 0.03**2)  # 1 mm behind the last voxel that has the full dose
    rows.append(("step, 1 mm off", figure(expected, ".4f"), figure(np.abs(found - expected).max(), ".1e")))
    return rows


def convergence() -> list[tuple[object, ...]]:
    """Their pass rate against the number of their steps, for small doses with many gammas near 1."""
    rows = []
    for name, noise in (("smooth", 0.0), ("0.5 % noise", 0.005)):
        doses = (_cube(24, 2.0, (0.0,) * 3, 1.0, 0.0), _cube(24, 2.0, (1.2, -0.9, 1.5), 1.02, noise))
        options: Options = {"dose_percent": 3.0, "distance_mm": 2.0}
        ours = gamma_index(*doses, **options)
        cells = [name, ours.compared, figure(100.0 * ours.pass_rate, ".2f")]
        for steps in (10, 20, 40):
            say(f"{name}, {steps} steps")
            theirs = pymedphys_gamma(*doses, options, steps)
            passed = 100.0 * np.mean(theirs[np.isfinite(theirs)] <= 1.0)
            most = np.nanmax(theirs - ours.gamma)
            cells.append(figure(passed, ".2f", more=f" ({most:.3f})"))
        rows.append(tuple(cells))
    return rows


def page(outcomes: Sequence[Outcome], converged: Sequence[tuple[object, ...]], wall_s: float) -> list[str]:
    """The page of the results."""
    values = [
        (
            o.name,
            o.ours.compared,
            figure(100.0 * o.ours.pass_rate, ".3f"),
            figure(o.theirs_percent, ".3f"),
            judge(o.theirs_percent, Limits.within(AGREE_points), "%", reference=100.0 * o.ours.pass_rate),
            figure(o.ours.mean, ".4f"),
            figure(np.nanmean(o.theirs), ".4f"),
            figure(o.apart.min(), ".1e"),
            figure(o.apart.max(), ".3f"),
        )
        for o in outcomes
    ]
    times = [
        (
            o.name,
            f"{o.ours_s[1]:.2f}",
            f"{o.ours_s[2]:.2f}",
            f"{o.theirs_s:.1f}",
            f"{o.theirs_s / o.ours_s[2]:.0f}",
            held(o.theirs_s >= FASTER * o.ours_s[2]),
        )
        for o in outcomes
    ]
    return [
        "# Verification: gamma",
        fill(
            f"""Gamma of Spotline is the exact minimum over the dose between the voxels, within {TOLERANCE:g}.
            pymedphys {version("pymedphys")} looks at points on shells, a tenth of the accepted distance
            apart. This page compares both: 3 %/2 mm, cut-off 10 %, gamma searched up to 2, everything else of
            pymedphys at its defaults. What is meant by gamma is in [Gamma](../explanation/gamma.md)."""
        ),
        "## Values",
        table(
            (
                "Doses",
                "points",
                "pass, ours (%)",
                "pass, theirs (%)",
                f"within {AGREE_points:g} points",
                "mean, ours",
                "mean, theirs",
                "theirs - ours, least",
                "largest",
            ),
            values,
            keys=1,
        ),
        fill(
            f"""If ours is the minimum, no value of theirs may be below it (by more than the {TOLERANCE:g}):
            see the last but one column. Theirs are larger where the best place lies between their points,
            mostly where dose is steep. A pass rate feels that only if many points have a gamma near 1."""
        ),
        "## With finer steps",
        fill(
            f"""Small doses with far more gammas near 1. Pass rates of pymedphys in percent, and in brackets
            by how much its gamma is above ours at most, with steps of a 10th, 20th and 40th of the accepted
            distance. Where a rate is further from ours than {AGREE_points} points, that bound is **missed**,
            as with its default of 10: its gammas are too large. With finer steps they come down to ours."""
        ),
        table(("Doses", "points", "ours", "theirs, 10", "20", "40"), converged, keys=1),
        "## Closed forms",
        table(("Dose", "gamma", "largest deviation"), closed_forms()),
        "## Time",
        fill(
            """Seconds without compilation, the least of the rounds, both in turn in one process. The machine
            was shared with other work: compare only figures of one line. pymedphys uses one thread."""
        ),
        table(
            ("Doses", "ours, 1 thread", "2 threads", "pymedphys", "factor", f"at least {FASTER:g}"),
            times,
        ),
        f"<sub>`python -m verification.gamma`, {wall_s:.0f} s; {circumstances()}</sub>",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print or write the page."""
    parser = page_parser("python -m verification.gamma", __doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="how often each is timed (2)")
    parser.add_argument("--only", metavar="DOSES", help="only the doses of this name")
    asked = parser.parse_args(arguments)
    try:
        version("pymedphys")
    except ModuleNotFoundError:
        parser.error("pymedphys is not installed; it is no dependency: pip install pymedphys interpolation")
    began = time.perf_counter()
    outcomes = []
    for case in (case for case in cases() if asked.only in (None, case.name)):
        say(case.name)
        outcomes.append(run_case(case, asked.rounds))
    converged = convergence() if asked.only is None else []
    put_page(page(outcomes, converged, time.perf_counter() - began), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
