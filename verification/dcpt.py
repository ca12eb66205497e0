"""The shipped line ``dcpt-like`` against its beam model, and against plans for the clinical lines.

::

    python -m verification.dcpt --plans DIR --write docs/reference/verification-dcpt.md

`DIR` has the plans, the dose and the beam models of APTG/2022_DCPT_LET, which are not part of the repository;
what is not there is skipped, and the page says so.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import spotline
from spotline.dicom.dose import read_dose
from spotline.dose.engine.forward import Patient
from spotline.dose.engine.reconstruct import reconstruct
from spotline.dose.evaluation.compare import Criterion, compare_doses
from spotline.dose.grid import DoseGrid, Grid
from spotline.dose.phantom import Box, phantom
from spotline.dose.sampling import sample_points
from spotline.faces import cli
from spotline.machine import BeamLine
from spotline.machine.library import BeamLibrary, Entry, in_beam, load_library
from spotline.machine.library.build import Origin, Run, build_library, simulate_entry
from spotline.machine.real_beams import momentum_spread_percent, real_beam
from spotline.measurement import Limits
from spotline.physics.ions import PROTON
from tools.make_dcpt_line import ION, NAME, held_out, make_line, read_beam_model
from verification.figures import figure, judge, table
from verification.page import circumstances, fill, page_parser, put_page, say

MODEL, LATER_MODEL = "DCPT_beam_model__v2.csv", "DCPT_beam_model__v5.csv"
RAYSTATION, SOBP, MONO = (
    f"{name}_plan.dcm" for name in ("raystation_ramp_full", "eclipse_sobp", "eclipse_mono160")
)
CRITERIA = (Criterion(2.0, 2.0), Criterion(3.0, 3.0), Criterion(1.0, 1.0))
GOAL = 0.98
"""Part of the points above 10 % of the maximum that is to pass 2 %/2 mm, as of the dose engine."""
PMMA_RSP = 1.16
POSITION = "HFDL"
"""How the patient of the RayStation plan lies, by dose and structures; the plan says HFS."""
RBE = 1.1
HELD_OUT_MeV = (72.5, 97.5, 127.5, 152.5, 207.5, 241.5)
PRIMARIES = 200_000
LATER_ENERGIES_MeV = tuple(np.arange(75.0, 156.0, 5.0).tolist())
"""Of the library for the later model: those of the RayStation plan."""
PRESCRIBED_Gy = 2.2
"""BeamDose of both Eclipse plans, with an RBE of 1.1."""
WITHIN_percent = 2.0
"""Of a prescribed dose."""

DEPTHS_mm = (20.0, 80.0, 140.0, 160.0)
PUBLISHED_R80_mm = (173.49, 173.90)
"""Of 160 MeV in the solid water of the phantom, by four of five Monte Carlo programs; TOPAS has 171.85."""
PUBLISHED_LETD = {
    "SHIELD-HIT12A": (0.874, 1.07, 1.38, 1.85),
    "OpenShieldHIT": (0.840, 1.03, 1.37, 1.84),
    "MCNP": (0.805, 0.951, 1.29, 1.85),
    "TOPAS (protons, LET in the medium)": (1.06, 1.19, 1.58, 2.04),
}
"""LETd in keV/um of hydrogen nuclei at `DEPTHS_mm`: simulations of APTG/2022_DCPT_LET, plan 02."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What there is of the reference data.

    Attributes
    ----------
    folder : Path or None
        With plans and models; None: nothing is there.
    """

    folder: Path | None

    def path(self, name: str) -> Path | None:
        """A file, if it is there."""
        path = None if self.folder is None else self.folder / name
        return path if path is not None and path.is_file() else None


def missing(name: str) -> str:
    """What a page says in place of a part."""
    return f"Skipped: `{name}` of APTG/2022_DCPT_LET is not at hand (option `--plans`)."


def line_part(line: BeamLine, given: Given) -> list[str]:
    """How well the shipped figures are those of the model."""
    title = "## The beam model"
    path = given.path(MODEL)
    if path is None:
        return [title, missing(MODEL)]
    model = read_beam_model(path)
    same = "the same" if make_line(path).files == line.files else "**other than the shipped ones**"
    rows = [(f"{what} ({unit})", figure(largest, ".3g")) for what, largest, unit in held_out(line, model)]
    return [
        title,
        fill(
            f"""The line has every 50th energy of {len(model.nominal_MeV)}, its spots carried through air from
            the plane of the model to the isocentre. Window and monitors, of which nothing is published, are
            one layer of water, and with the emittance it is fitted to the widths at 20 and 10 cm before and
            behind the isocentre, at every second energy of the line. Largest differences at energies that
            have no part in it: in the first five rows all others of the model, in the last four the energies
            of the line that were left out of the fit. `python -m tools.make_dcpt_line` writes files that are
            {same}."""
        ),
        table(("What", "largest difference"), rows),
    ]


def library_part(line: BeamLine, library: BeamLibrary, primaries: int) -> list[str]:
    """Interpolated beams against beams that are simulated."""
    other = load_library(spotline.load_beamline("cnao-h"), ION)
    rows, replaced = [], []
    for energy in HELD_OUT_MeV:
        say(f"library: {energy:g} MeV ...")
        real = real_beam(line, ION, energy)
        direct = simulate_entry(
            PROTON,
            real.energy_MeV_u,
            momentum_spread_percent=momentum_spread_percent(PROTON, *real),
            primaries=primaries,
            seed=7,
            run=Run(1),
        ).entry
        rows.append((f"{energy:g}", *entry_cells(library.entry(energy), direct)))
        if energy <= other.energy_MeV_u[-1]:
            replaced.append((f"{energy:g}", *entry_cells(other.entry(energy), direct)))
    heads = (
        "MeV",
        "peak (mm)",
        "R80 (mm)",
        "80 to 20 % (mm)",
        "height of the peak (%)",
        "largest (%)",
        "rms (%)",
    )
    return [
        "## The beam library",
        fill(
            f"""Its energies are those of the line, 5 MeV apart. At energies half-way, what the library has
            less what a simulation of that very beam gives ({primaries} protons, whose noise is a part of the
            difference: half a percent in a single depth, 0.05 mm in the place of the peak); the last two
            columns are of the dose at all depths, in percent of the peak."""
        ),
        table(heads, rows),
        fill(
            """With the shipped library of `cnao-h` in its place, which has the nominal energies, one spread
            of 0.15 % and nothing above 228.57 MeV, it would be:"""
        ),
        table(heads, replaced),
    ]


def entry_cells(found: Entry, direct: Entry) -> tuple[str, ...]:
    """Differences of a curve from one that is right."""
    ours, theirs = found.ranges(), direct.ranges()
    depth = np.linspace(0.5, 1.1 * theirs.R10_mm, 1000)
    peak = theirs.peak_MeV_cm2_g
    off = 100.0 * (found.dose_MeV_cm2_g(depth) - direct.dose_MeV_cm2_g(depth)) / peak
    return (
        figure(ours.peak_mm - theirs.peak_mm, "+.2f"),
        figure(ours.R80_mm - theirs.R80_mm, "+.2f"),
        figure(ours.distal_80_20_mm - theirs.distal_80_20_mm, "+.2f"),
        figure(100.0 * (ours.peak_MeV_cm2_g / peak - 1.0), "+.1f"),
        figure(float(np.abs(off).max()), ".1f"),
        figure(float(np.sqrt(np.mean(off**2))), ".2f"),
    )


def mono_part(line: BeamLine, library: BeamLibrary) -> list[str]:
    """160 MeV in water against other Monte Carlo programs."""
    entry = library.entry(160.0).with_thickness(in_beam(line, ION))
    ranges = entry.ranges()
    published_mm = float(np.mean(PUBLISHED_R80_mm))
    solid = ranges.R80_mm / published_mm
    rows = [(name, *(figure(value, ".2f") for value in values)) for name, values in PUBLISHED_LETD.items()]
    ours = entry.letd(solid * np.array(DEPTHS_mm))
    rows.append(("Spotline, library", *(figure(float(value), ".2f") for value in ours)))
    return [
        "## 160 MeV in water",
        fill(
            f"""The plan of one energy was simulated by others in a phantom of solid water. Its R80 is
            {PUBLISHED_R80_mm[0]:g} to {PUBLISHED_R80_mm[1]:g} mm there by four programs (TOPAS: 171.85 mm);
            ours
            is {ranges.R80_mm:.2f} mm in water, {solid:.4f} times as much. What solid water is worth is not
            published with it, so this is no test of the range; depths below are scaled by that factor. The
            peak is {ranges.W80_mm:.1f} mm wide at 80 % (others 5.5 to 6.1 mm in solid water)."""
        ),
        "LETd by depth in the phantom:",
        table(("Program", *(f"{depth:g} mm (keV/um)" for depth in DEPTHS_mm)), rows),
        fill(
            """All count hydrogen nuclei, primaries and secondaries, as [models of
            RBE](../explanation/rbe.md#of-which-particles-letd-is) of protons want it."""
        ),
    ]


def phantom_of_raystation() -> Patient:
    """The phantom of the RayStation plan: a cube of water of 20.5 cm with a plate of PMMA in its middle."""
    outside = phantom(
        Grid.covering((-102.5, -102.5, -100.0), (102.5, 102.5, 100.0), 2.0),
        [
            Box((-102.5, -102.5, -100.0), (102.5, 102.5, 100.0)),
            Box((-100.0, -2.5, -100.0), (100.0, 2.5, 100.0), PMMA_RSP),
        ],
        background=0.0,
    )
    return Patient(outside.rsp, outside.grid, POSITION)


def raystation_doses(
    line: BeamLine, libraries: dict[str, BeamLibrary], folder: Path
) -> dict[str, tuple[DoseGrid, DoseGrid]]:
    """Dose of the file and ours, by name, for the plan of two opposed fields."""
    plan = spotline.read_plan(folder / RAYSTATION)
    lying = tuple(replace(field, patient_position=POSITION) for field in plan.fields)
    treatment = spotline.prepare(replace(plan, fields=lying), line)
    total = read_dose(folder / "raystation_ramp_full_dose_total.dcm")
    done = reconstruct(
        treatment, line, phantom_of_raystation(), total.grid, libraries=libraries, per_field=True
    ).doses["planned"]
    found = {"both fields": (total, weighted(done.physical))}
    for number, dose in done.fields.items():
        found[f"field {number}"] = (
            read_dose(folder / f"raystation_ramp_full_dose_field{number}.dcm"),
            weighted(dose),
        )
    return found


def middle_Gy(dose: DoseGrid) -> float:
    """Mean dose within 4 cm across and 5 mm along the beams from the isocentre of the RayStation plan."""
    x, y, z = np.meshgrid(np.arange(-20.0, 21.0, 5.0), (-5.0, 0.0, 5.0), np.arange(-20.0, 21.0, 5.0))
    return float(sample_points(dose.dose_Gy, dose.grid, np.stack([x, y, z], axis=-1)).mean())


def weighted(dose: DoseGrid) -> DoseGrid:
    """Physical dose times the constant RBE of protons."""
    return replace(dose, dose_Gy=dose.dose_Gy * np.float32(RBE), kind="effective")


def raystation_part(line: BeamLine, library: BeamLibrary, given: Given, primaries: int) -> list[str]:
    """The dose of another planning system, with both models."""
    title = "## Dose of a RayStation plan"
    if given.folder is None or given.path(RAYSTATION) is None:
        return [title, missing(RAYSTATION)]
    say("RayStation ...")
    sets = [("dcpt-like", line, {ION: library})]
    later = given.path(LATER_MODEL)
    if later is not None:
        say("RayStation: library for the later model ...")
        other = make_line(later)
        made = build_library(
            other,
            ION,
            origin=Origin(datetime.now(UTC), ""),
            energies_MeV_u=LATER_ENERGIES_MeV,
            primaries=primaries,
            seed=1,
            run=Run(1),
        )
        sets.append(("with the later model", other, {ION: made}))
    rows = []
    for name, one, libraries in sets:
        for part, (theirs, ours) in raystation_doses(one, libraries, given.folder).items():
            found = compare_doses(theirs, ours, criteria=CRITERIA)
            rows.append(
                (
                    f"{part}, {name}",
                    *(figure(100 * gamma.pass_rate, ".2f") for gamma in found.gammas),
                    figure(100 * found.mean_Gy / found.normalisation_Gy, "+.2f"),
                    figure(100 * (middle_Gy(ours) / middle_Gy(theirs) - 1.0), "+.1f"),
                    found.points,
                    judge(found.gammas[0].pass_rate, Limits(low=GOAL)),
                )
            )
    heads = (
        "Dose",
        "2 %/2 mm (%)",
        "3 %/3 mm (%)",
        "1 %/1 mm (%)",
        "mean difference (%)",
        "at the isocentre (%)",
        "points",
        "98 %",
    )
    return [
        title,
        table(heads, rows),
        fill(
            f"""Two opposed fields of 9218 spots in monitor units, against the RT Dose of RayStation 14.0,
            total and by field; points with at least 10 % of its maximum, global gamma, nothing scaled. Dose
            and structures of the files lie along y although the plan says gantry 90 and 270, HFS: the
            patient is
            taken as {POSITION}. RBE {RBE:g}; a plate of PMMA of {PMMA_RSP:g} in the middle. The plan is of
            2025.
            By then the centre had another beam model (version 5, from August 2024), whose real energies are
            lower by
            up to a percent where this plan is; the last rows are of a line
            that the same program made from it. Each field is a ramp that falls by 17 mGy per mm, so a
            millimetre of
            range in both is 1.7 % of the dose in the middle; what is left of the
            difference has no known cause."""
        ),
    ]


def eclipse_part(line: BeamLine, library: BeamLibrary, given: Given) -> list[str]:
    """Dose where the Eclipse plans prescribe it."""
    title = "## Dose of two Eclipse plans"
    rows = []
    for name, what, surface_mm in ((SOBP, "spread-out peak", 100.0), (MONO, "160 MeV", 20.0)):
        path = given.path(name)
        if path is None:
            return [title, missing(name)]
        say(f"{name} ...")
        treatment = spotline.prepare(spotline.read_plan(path), line)
        water = spotline.water_phantom(treatment, surface_mm, 2.0)
        done = reconstruct(treatment, line, water, water.grid, libraries={ION: library})
        dose = done.doses["planned"].physical
        at = treatment.fields[0].field.isocentre_mm or (0.0, 0.0, 0.0)
        found_Gy = RBE * float(sample_points(dose.dose_Gy, dose.grid, [at])[0])
        off = 100.0 * (found_Gy / PRESCRIBED_Gy - 1.0)
        within = Limits(low=-WITHIN_percent, high=WITHIN_percent)
        rows.append(
            (
                what,
                f"{surface_mm:g}",
                figure(PRESCRIBED_Gy, ".2f"),
                figure(found_Gy, ".3f"),
                figure(off, "+.1f"),
                judge(off, within),
            )
        )
    heads = ("Plan", "depth (mm)", "prescribed (Gy)", "found (Gy)", "difference (%)", f"{WITHIN_percent:g} %")
    return [
        title,
        table(heads, rows),
        fill(
            f"""Without RT Dose: the dose of the field at its isocentre (BeamDose) and ours there, in water,
            times {RBE:g}. The depth is that of the phantom in the planning system, by the places of the
            isocentres. The
            plans are of 2022, when the model of the line was in use."""
        ),
    ]


def command_part(given: Given) -> list[str]:
    """What a user types: nothing but the plan and the name of the line."""
    title = "## From the command line"
    rows = []
    for name, surface_mm in ((SOBP, 100.0), (MONO, 20.0), (RAYSTATION, 102.5)):
        path = given.path(name)
        if path is None:
            continue
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            calls = {
                "prepare": ["prepare", str(path), "--beamline", NAME, "--out", str(folder / "prepared")],
                "deliver": [
                    "deliver",
                    str(folder / "prepared"),
                    "--out",
                    str(folder / "delivered"),
                    "--seed",
                    "1",
                ],
                "dose": [
                    "dose",
                    str(folder / "delivered"),
                    "--water",
                    f"{surface_mm:g}",
                    "--out",
                    str(folder / "dose"),
                ],
            }
            statuses, seconds = [], []
            for verb, arguments in calls.items():
                say(f"{name}: {verb} ...")
                began = time.perf_counter()
                with contextlib.redirect_stdout(io.StringIO()):
                    statuses.append(cli.run([*arguments, "--quiet"] if verb != "prepare" else arguments))
                seconds.append(time.perf_counter() - began)
            summary = json.loads((folder / "delivered" / "summary.json").read_text(encoding="utf-8"))
            doses = json.loads((folder / "dose" / "dose.json").read_text(encoding="utf-8"))["doses"]
        off = 100.0 * (doses["true"]["maximum_Gy"] / doses["planned"]["maximum_Gy"] - 1.0)
        rows.append(
            (
                f"`{name}`",
                ", ".join(str(status) for status in statuses),
                summary["status"],
                f"{len(summary['interlocks'])}",
                figure(summary["treatment_s"], ".0f"),
                figure(100.0 * (summary["particles_delivered"] / summary["particles_planned"] - 1.0), "+.2f"),
                figure(off, "+.2f"),
                figure(sum(seconds), ".0f"),
            )
        )
    if not rows:
        return [title, missing(SOBP)]
    heads = (
        "Plan",
        "exit status of prepare, deliver, dose",
        "delivery",
        "interlocks",
        "time in the room (s)",
        "particles (%)",
        "largest dose, true to planned (%)",
        "computed in (s)",
    )
    return [
        title,
        table(heads, rows),
        fill(
            """`spotline prepare PLAN --beamline dcpt-like`, `spotline deliver` and `spotline dose --water`
            with no file of one's own but the plan."""
        ),
    ]


def page(given: Given, primaries: int) -> list[str]:
    """Put the page together."""
    began = time.perf_counter()
    line = spotline.load_beamline(NAME)
    library = load_library(line, ION)
    parts = [
        f"# Verification: the line {NAME}",
        fill(
            """The shipped line [`dcpt-like`](../../src/spotline/beamlines/dcpt-like/beamline.toml) has the
            beam
            of the proton gantries of the Danish Centre for Particle Therapy as far as it is published
            (APTG/2022_DCPT_LET, CC BY 4.0), and is not the clinical line. Here it is held against that
            beam
            model,
            and against plans that were made for the clinical lines."""
        ),
        *line_part(line, given),
        *library_part(line, library, primaries),
        *mono_part(line, library),
        *raystation_part(line, library, given, primaries),
        *eclipse_part(line, library, given),
        *command_part(given),
    ]
    took_s = time.perf_counter() - began
    return [
        *parts,
        f"<sub>`python -m verification.dcpt --plans DIR`, {took_s:.0f} s; {circumstances()}</sub>",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print or write the page."""
    parser = page_parser("python -m verification.dcpt", __doc__.splitlines()[0])
    parser.add_argument("--plans", type=Path, metavar="DIR", help="folder with plans and beam models of DCPT")
    parser.add_argument("--primaries", type=int, default=PRIMARIES, help=f"protons per energy ({PRIMARIES})")
    asked = parser.parse_args(arguments)
    folder = asked.plans if asked.plans is not None and asked.plans.is_dir() else None
    put_page(page(Given(folder), asked.primaries), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
