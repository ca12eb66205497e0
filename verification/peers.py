"""The dose engine against that of pyRadPlan: with the same base data, in the same run.

::

    OPENBLAS_NUM_THREADS=1 python -m verification.peers --write docs/reference/verification-peers.md

pyRadPlan is no dependency of Spotline; install it beside it for this page.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np

import spotline
from spotline.dicom.dose import read_dose
from spotline.dose.calibration import StoppingPower
from spotline.dose.engine.beams import FieldBeams, LayerBeam
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.evaluation.compare import Comparison, compare_doses
from spotline.dose.grid import DoseGrid, Grid
from spotline.dose.phantom import Box, phantom
from spotline.machine.library import BeamLibrary, load_library
from spotline.machine.library.curve import ranges_of
from spotline.machine.library.modifiers import ripple_filter, together
from spotline.machine.load import BeamLine
from spotline.measurement import Limits
from spotline.physics.ions import CARBON, PROTON, Ion
from tests.lines.facts import with_facts
from verification.dose import CRITERIA, SHARED
from verification.figures import figure, held, judge, table
from verification.inhomogeneities import PHANTOMS, SIGMA_mm, parallel, spot_cases
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.planned_cubes import MACHINES, SOURCE_mm, air_mm, beams_of, engine_dose
from verification.pyradplan import (
    Options,
    Peer,
    library_of,
    machine_of,
    one_halo,
    shipped_machine,
)

FASTER = 10.0
"""How many times faster our engine is to be."""
DOUBLE, SINGLE = Options("double"), Options("single")
UNCUT = Options("double", 1.0)
"""With all of the dose of a spot."""
OURS, OURS_REDUCED = "Spotline", "Spotline, one halo"
THEIRS, THEIRS_SINGLE = "pyRadPlan", "pyRadPlan, single"
SPOT_STEP_mm = 5.0
TIMED_SIGMA_mm = 4.0
ALONE_mm = (120.0, 120.0)
"""Sizes in x and z of the box in which time is taken."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A field whose dose both compute."""

    name: str
    ion: Ion
    energies_MeV_u: tuple[float, ...]
    side: int
    spacing_mm: float
    depth_mm: float
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a case."""

    case: Timed
    spots: int
    voxels: int
    wall_s: Mapping[str, float]
    cpu_s: Mapping[str, float]
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Agreement:
    """One engine against the Monte Carlo."""

    name: str
    by: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class FileCase:
    """A computed dose against the file that came with the plan."""

    name: str
    by: str
    spots: int
    comparison: Comparison
    wall_s: float
    cpu_s: float


def timed_cases(libraries: Mapping[str, BeamLibrary]) -> list[Timed]:
    """Fields from one layer to thousands of spots, with energies of the library."""

    def energies(ion: str, low: float, high: float, number: int) -> tuple[float, ...]:
        listed = libraries[ion].energy_MeV_u
        listed = listed[(listed >= low) & (listed <= high)]
        return tuple(float(e) for e in listed[np.linspace(0, len(listed) - 1, number).astype(int)])

    protons, carbons = energies("proton", 90.0, 160.0, 12), energies("carbon", 170.0, 290.0, 12)
    bone = (Box((-60.0, 20.0, -60.0), (60.0, 40.0, 60.0), 1.6),)
    return [
        Timed("one layer, protons", PROTON, protons[-1:], 15, 3.0, 210.0),
        Timed("12 layers, protons", PROTON, protons, 15, 3.0, 210.0),
        Timed("the same behind bone", PROTON, protons, 15, 3.0, 210.0, bone),
        Timed("the same in water, finer voxels", PROTON, protons, 15, 2.0, 210.0),
        Timed("12 layers, carbon", CARBON, carbons, 15, 3.0, 210.0),
    ]


def field_of(case: Timed) -> FieldBeams:
    """A square of spots in each layer."""
    axis = SPOT_STEP_mm * (np.arange(case.side) - 0.5 * (case.side - 1))
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    ones = np.ones(len(x))
    spots = Spots(x, y, 1e6 * ones, TIMED_SIGMA_mm * ones, TIMED_SIGMA_mm * ones)
    layers = tuple(LayerBeam(k, energy, "", spots) for k, energy in enumerate(case.energies_MeV_u))
    return FieldBeams(1, case.name, case.ion, (), 0.0, 0.0, (0.0, 0.0, 0.0), layers)


def phantom_of(case: Timed) -> StoppingPower:
    """Water, whose surface is 20 mm before the isocentre, with boxes in it."""
    x, z = (0.5 * size for size in ALONE_mm)
    grid = Grid.covering((-x, -20.0, -z), (x, case.depth_mm - 20.0, z), case.spacing_mm)
    return phantom(grid, case.boxes)


def line_of(ion: Ion) -> BeamLine:
    """A line without nozzle."""
    name = ion.name
    facts = {
        "nozzle": None,
        f"ions.{name}.nozzle_mm": 0.0,
        "geometry.x_source_to_isocentre_mm": SOURCE_mm,
        "geometry.y_source_to_isocentre_mm": SOURCE_mm,
    }
    return with_facts(spotline.load_beamline("cnao-h"), facts)


def our_dose(
    line: BeamLine, power: StoppingPower, field: FieldBeams, library: BeamLibrary, threads: int
) -> DoseGrid:
    """Everything from the spots to the dose."""
    patient, libraries = Patient(power.rsp, power.grid), {library.ion.name: library}
    engine = DoseEngine(line, patient, power.grid, libraries=libraries, threads=threads)
    engine.add([field])
    return DoseGrid(power.grid, engine.dose_Gy.astype(np.float32))


def our_machine(case: Timed, library: BeamLibrary) -> object:
    """Our library as a machine of theirs."""
    reduced = one_halo(library)
    entries = [reduced.entry(energy) for energy in case.energies_MeV_u]
    return machine_of(case.ion.name, entries, [TIMED_SIGMA_mm] * len(entries), SOURCE_mm)


def take_times(case: Timed, library: BeamLibrary, rounds: int) -> Times:
    """Both in turn."""
    power, field, machine = phantom_of(case), field_of(case), our_machine(case, library)
    line = line_of(case.ion)
    peers = {options.lateral: Peer(power, field, machine, options) for options in (SINGLE, DOUBLE)}
    runs: dict[str, Callable[[], DoseGrid]] = {
        "ours, 1 thread": lambda: our_dose(line, power, field, library, 1),
        "ours": lambda: our_dose(line, power, field, library, 2),
        **{name: peer.dose for name, peer in peers.items()},
    }
    small = Timed(case.name, case.ion, case.energies_MeV_u[:1], 1, 10.0, case.depth_mm)
    Peer(phantom_of(small), field_of(small), our_machine(small, library), DOUBLE).dose()  # compiles
    our_dose(line, phantom_of(small), field_of(small), library, 2)  # compiles
    wall_s, cpu_s = dict.fromkeys(runs, np.inf), dict.fromkeys(runs, np.inf)
    doses: dict[str, DoseGrid] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            began, used = time.perf_counter(), time.process_time()
            doses[name] = run()
            wall_s[name] = min(wall_s[name], time.perf_counter() - began)
            cpu_s[name] = min(cpu_s[name], time.process_time() - used)
    say(f"{case.name}: {wall_s['ours']:.2f} s and {wall_s['double']:.2f} s")
    found = compare_doses(doses["double"], doses["ours"], criteria=CRITERIA, lower_cutoff_percent=10.0)
    spots = sum(len(layer.spots.x_mm) for layer in field.layers)
    return Times(case, spots, int(np.prod(power.grid.shape)), wall_s, cpu_s, found)


def agreements(ion: Ion, energy_MeV_u: float, library: BeamLibrary, primaries: int) -> list[Agreement]:
    """Both engines, with the same base data, against our Monte Carlo."""
    line = parallel(spotline.load_beamline("cnao-h"), ion)
    reduced = one_halo(library)
    machine = machine_of(ion.name, [reduced.entry(energy_MeV_u)], [SIGMA_mm], SOURCE_mm)
    found = []
    for case in spot_cases(ion, energy_MeV_u, library, primaries, PHANTOMS[:4]):
        patient = Patient(case.power.rsp, case.power.grid)
        doses = {}
        for name, used in ((OURS, library), (OURS_REDUCED, reduced)):
            engine = DoseEngine(line, patient, case.power.grid, libraries={ion.name: used})
            engine.add([case.field])
            doses[name] = engine.dose_Gy
        for name, options in ((THEIRS, UNCUT), (THEIRS_SINGLE, SINGLE)):
            doses[name] = Peer(case.power, case.field, machine, options).dose().dose_Gy.astype(np.float64)
        given = case.readable(case.reference_Gy)
        for name, dose in doses.items():
            pair = given, case.readable(dose)
            compared = compare_doses(*pair, criteria=CRITERIA, lower_cutoff_percent=10.0)
            found.append(Agreement(case.name, name, compared))
        say(
            f"{case.name}: "
            + ", ".join(figure(100 * a.comparison.gammas[2].pass_rate, ".2f") for a in found[-len(doses) :])
        )
    return found


def files(ion: Ion) -> list[FileCase]:
    """The plan of a cube by pyRadPlan with its own data, and by our engine with the same data."""
    folder = SHARED / "plans" / "cubes"
    (field,) = spotline.read_plan(folder / f"{ion.name}_cube_15cm_plan.dcm").fields
    given = read_dose(folder / f"{ion.name}_cube_15cm_dose.dcm")
    machine = shipped_machine(ion.name)
    energies = [layer.energy_MeV_u for layer in field.layers]
    water = phantom(given.grid, [])

    def sigma_mm(energy: float) -> float:
        listed = np.asarray(machine.energies)
        focus = machine.foci[listed[np.argmin(np.abs(listed - energy))]][0]
        return float(np.interp(SOURCE_mm - 150.0, focus.dist, focus.sigma))

    beams = beams_of(field, sigma_mm)
    found = []
    for lateral in ("single", "double") if machine.has_double_gaussian_kernel else ("single",):
        said = f"{ion.name} cube, {lateral} Gaussian"
        peer = Peer(water, beams, machine, Options(lateral, air=True))
        library = library_of(ion, machine, energies, lateral)
        before_mm = air_mm(MACHINES[ion.name])
        runs: dict[str, Callable[[], DoseGrid]] = {
            THEIRS: peer.dose,
            OURS: partial(engine_dose, beams, given.grid, library, before_mm),
        }
        for by, run in runs.items():
            began, used = time.perf_counter(), time.process_time()
            dose = run()
            seconds = time.perf_counter() - began, time.process_time() - used
            compared = compare_doses(given, dose, criteria=CRITERIA, lower_cutoff_percent=10.0)
            say(f"{said}, {by}: {100 * compared.gammas[0].pass_rate:.2f} % in {seconds[0]:.1f} s")
            found.append(FileCase(said, by, field.n_spots, compared, *seconds))
    return found


def carbon_peaks(library: BeamLibrary) -> str:
    """Their depth doses of carbon against ours behind two ripple filters, fitted at every second energy."""
    machine = shipped_machine("carbon")
    filters = together([ripple_filter(mean) for mean in MACHINES["carbon"].filters_mm])
    rows = []
    for energy in np.asarray(machine.energies):
        kernel = machine.pb_kernels[energy]
        theirs = ranges_of(kernel.depths, kernel.idd)
        entry = library.entry(float(energy))
        ours, bare = entry.with_thickness(filters).ranges(), entry.ranges()
        rows.append(
            (
                ours.R80_mm - theirs.R80_mm,
                ours.W80_mm / theirs.W80_mm,
                bare.W80_mm / theirs.W80_mm,
                ours.peak_MeV_cm2_g / theirs.peak_MeV_cm2_g,
            )
        )
    shift, width, bare_width, peak = np.array(rows).T
    fitted = float(shift[::2].mean())
    off = shift[1::2] - fitted
    return fill(
        f"""*Carbon.* The peaks of the machine data are as wide as ours behind CNAO's two ripple filters
        (width at 80 % ours over theirs {width[1::2].mean():.2f}, {width[1::2].min():.2f} to
        {width[1::2].max():.2f}; without filters {bare_width.mean():.2f}) and as high
        ({peak[1::2].mean():.2f}, {peak[1::2].min():.2f} to {peak[1::2].max():.2f}): the data contain the
        filters that the plans do not name. What else lies before the water was fitted to R80 at every second
        energy: {fitted:.2f} mm. The other energies deviate from that by {off.mean():+.2f} mm on average, and
        by {np.abs(off).max():.2f} mm at most."""
    )


def page(
    times: Sequence[Times],
    agreed: Sequence[Agreement],
    of_files: Sequence[FileCase],
    peaks: str,
    wall_s: float,
) -> list[str]:
    """The page of the results."""
    timed_rows = [
        (
            t.case.name,
            t.spots,
            t.voxels,
            f"{t.case.spacing_mm:g}",
            *(f"{t.wall_s[name]:.2f}" for name in ("ours, 1 thread", "ours")),
            *(f"{t.wall_s[name]:.1f}" for name in ("single", "double")),
            *(f"{t.wall_s[name] / t.wall_s['ours']:.1f}" for name in ("single", "double")),
            f"{t.cpu_s['single'] / t.cpu_s['ours']:.1f}",
            held(t.wall_s["single"] >= FASTER * t.wall_s["ours"]),
            figure(100 * t.comparison.gammas[0].pass_rate, ".2f"),
        )
        for t in times
    ]
    agreed_rows = [(a.name, a.by, *_figures(a.comparison)) for a in agreed]
    by = {(a.name, a.by): a.comparison for a in agreed}
    verdicts = [
        (
            name,
            *(
                figure(100 * by[name, who].gammas[2].pass_rate, ".2f")
                for who in (OURS, OURS_REDUCED, THEIRS, THEIRS_SINGLE)
            ),
            judge(
                by[name, OURS].gammas[2].pass_rate,
                Limits(low=0.0),
                reference=by[name, THEIRS].gammas[2].pass_rate,
            ),
        )
        for name in dict.fromkeys(a.name for a in agreed)
    ]
    file_rows = [
        (f.name, f.by, *_figures(f.comparison), f"{f.wall_s:.1f}", f"{f.cpu_s:.1f}") for f in of_files
    ]
    file_factors = ", ".join(
        f"{theirs.wall_s / ours.wall_s:.0f} and {theirs.cpu_s / ours.cpu_s:.0f} "
        f"({ours.name}, {ours.spots} spots)"
        for theirs, ours in zip(of_files[::2], of_files[1::2], strict=True)
    )
    figures = ("2 %/2 mm (%)", "3 %/3 mm (%)", "1 %/1 mm (%)", "mean difference (%)")
    return [
        "# Verification: pyRadPlan",
        fill(
            f"""The dose engine against pyRadPlan {version("pyRadPlan")}, the Python version of matRad, which
            computes a dose for each spot and voxel. Both get the same beams, the same stopping powers, the
            same grid and the **same base data**: our library, written as a machine of theirs. So what differs
            is the engine. Gammas are global, of points with at least 10 % of the largest reference dose;
            differences in percent of it."""
        ),
        "## Time",
        fill(
            """Seconds of a forward calculation, least of the rounds, both in turn in one process, compilation
            apart. *Factor* is their time over ours with two threads. *single* and *double* are their lateral
            models: one Gaussian, their default and their fastest, and one with a halo; ours has two halos in
            any case. *CPU* is the same factor of CPU seconds, which feel other work on the machine less, but
            count both threads of ours. The verdict is on time, with the single one. The last column is the
            share of points of ours that pass 2 %/2 mm against their double one."""
        ),
        table(
            (
                "Field",
                "spots",
                "voxels",
                "mm",
                "ours, 1 thread",
                "2 threads",
                "single",
                "double",
                "factor, single",
                "double",
                "CPU, single",
                f"at least {FASTER:g}",
                "agree (%)",
            ),
            timed_rows,
            keys=1,
        ),
        fill(
            f"""* *pyRadPlan* runs with NumPy, its default, and Numba for its ray tracing; LET and corrections
            for air are off, the progress bar too, the dose grid is that of the image (nothing is resampled),
            and spots of one place share a ray, so that their geometry is computed once. Its lateral cut-off
            is at its default of {100 * DOUBLE.cutoff:g} % of the dose. Its ray tracing may use all threads,
            and so may the matrix products of NumPy: OPENBLAS_NUM_THREADS was
            {os.environ.get("OPENBLAS_NUM_THREADS", "not set")}. On a busy machine 1 is several times faster
            for pyRadPlan, whose many small products wait for each other.
            * Its time goes with the number of voxels that each spot reaches, which are few for narrow spots
            of carbon without halo. Ours goes with spots plus voxels, and each layer costs some ms for tables
            and for looking at all voxels, however few its spots. So the factor grows with the spots: see the
            plans at the end of this page.
            * Neither keeps anything from one calculation to the next: depths, tables and cut-offs are made
            anew. Machine, beam line, library, image and spots are in memory before. If many doses of the same
            spots are wanted, pyRadPlan can keep the dose of each (`calc_dose_influence`), and ours its
            rays."""
        ),
        "## Agreement with the Monte Carlo",
        fill(
            f"""One spot of {SIGMA_mm:g} mm standard deviation, as on the page of the [dose
            engine](verification-dose.md), against our own Monte Carlo, from which the base data come too.
            Percent of points that pass 1 %/1 mm; all figures below."""
        ),
        table(("Case", OURS, "one halo", THEIRS, "single", "Spotline at least as good"), verdicts),
        table(("Case", "by", *figures), agreed_rows),
        fill(
            """*pyRadPlan* is its best: core and halo, no lateral cut-off. Our two halos became one of the
            same share and mean square for it, since its model of several Gaussians fails in this version (the
            shapes of its arrays do not fit); *one halo* is our engine with that. *single*: only the core, and
            99.5 % of the dose of each depth, scaled to all of it, which are its defaults; a fit of one
            Gaussian would be wider than our core. pyRadPlan lets each voxel see the water on its own ray;
            ours looks at more rays where they differ. With one halo the engines agree within 0.1 points, at
            the edge of bone within 0.9; the rest is the second halo, which helps everywhere but behind the
            slab of lung."""
        ),
        "## The cubes that pyRadPlan planned",
        fill(
            """Plans with dose of the reference data, against their files: by pyRadPlan, with the generic
            machine data that it ships, and by our engine with the same data. What our own data make of them
            is on the page of the [dose engine](verification-dose.md)."""
        ),
        table(("Case", "by", *figures, "s", "CPU s"), file_rows),
        fill(f"Factors of time and of CPU time: {file_factors}."),
        fill(
            """The files hold physical dose in gray, made with the single Gaussian (pyRadPlan's default
            `lateral_model = "fastest"`), though its data for protons have a halo too, and with its correction
            for 1.85 and 0.85 m of air (2.0 and 0.9 mm of water): so computed, pyRadPlan gives what is in
            them. With its halo it does not."""
        ),
        peaks,
        f"<sub>`python -m verification.peers`, {wall_s:.0f} s; {circumstances()}</sub>",
    ]


def _figures(found: Comparison) -> tuple[str, ...]:
    return (
        *(figure(100 * gamma.pass_rate, ".2f") for gamma in found.gammas),
        figure(100 * found.mean_Gy / found.normalisation_Gy, "+.2f"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print or write the page."""
    parser = page_parser("python -m verification.peers", __doc__.splitlines()[0])
    parser.add_argument("--primaries", type=int, default=400_000, help="protons of the Monte Carlo (400 000)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is timed (2)")
    asked = parser.parse_args(arguments)
    try:
        version("pyRadPlan")
    except ModuleNotFoundError:
        parser.error("pyRadPlan is not installed; it is no dependency: pip install pyRadPlan 'pydantic<2.13'")
    began = time.perf_counter()
    line = spotline.load_beamline("cnao-h")
    libraries = {ion: load_library(line, ion) for ion in ("proton", "carbon")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        times = [take_times(case, libraries[case.ion.name], asked.rounds) for case in timed_cases(libraries)]
        agreed = agreements(PROTON, 148.22, libraries["proton"], asked.primaries)
        agreed += agreements(CARBON, 279.97, libraries["carbon"], asked.primaries // 10)
        of_files = [found for ion in (CARBON, PROTON) for found in files(ion)]
        peaks = carbon_peaks(libraries["carbon"])
    put_page(page(times, agreed, of_files, peaks, time.perf_counter() - began), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
