"""What is equal between processors, and how far the rest is.

::

    python -m verification.processors --write docs/reference/verification-processors.md

Plans are prepared, delivered and computed in processes that do the arithmetic of other processors
(`tests.processors`); what comes out is compared with what this processor makes of them by itself.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import spotline
from spotline.dose.engine.reconstruct import reconstruct
from spotline.machine.library.build import Origin, build_library
from spotline.measurement import Limits
from spotline.treatment.duration import predict_duration
from tests.delivery.deliveries import deliver, hashes
from tests.lines.trip import write_trip_line
from tests.processors import PROCESSORS, environment_of, taken
from verification.durations import PLANS
from verification.figures import MISSING, Figure, figure, judge, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.runs import EXAMPLES, ROOT, SHARED

LIBRARIES = {"proton": [62.73, 100.0], "carbon": [150.0, 200.0]}
PRIMARIES = 2000

Results = dict[tuple[str, str], Any]
"""What was worked out, by kind and name."""

TREATMENTS = "treatments: order, jumps, intensity, counts, positions, currents"
TIMES = "predicted times and spills (relative)"
RECORDS = "records: treatment and spill files, byte for byte"
DOSES = "planned dose (part of the largest dose)"
LETD = "LETd (part of the largest)"
DEPTH = "depth dose of a library that is made (part of the largest)"
WIDTH = "fitted widths of such a library (part of the largest)"
KINDS = (TREATMENTS, TIMES, RECORDS, DOSES, LETD, DEPTH, WIDTH)
EQUAL = (TREATMENTS, RECORDS)
"""Of which not one may differ: what was decided, and the files."""


def plans(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Plans, and name and path of the line: the examples, and those of other systems if they are there."""
    for path in sorted(EXAMPLES.glob("*.dcm")):
        machine = spotline.read_plan(path).fields[0].machine
        yield path, machine, machine
    if SHARED.is_dir():
        lines = {
            "trip": write_trip_line(folder / "trip"),
        }
        for pattern, line in PLANS:
            (path,) = (SHARED / "plans").glob(pattern)
            yield path, line, str(lines.get(line, line))


def work() -> Results:
    """Prepare, deliver and compute everything once."""
    found: Results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, name_of_line, line in plans(folder):
            treatment = spotline.prepare(spotline.read_plan(path), spotline.load_beamline(line))
            for field in treatment.fields:
                key = f"{path.stem} on {name_of_line}, field {field.field.number}"
                slices = [getattr(s, column.name) for s in field.slices for column in fields(s)]
                found[TREATMENTS, key] = b"".join(np.asarray(value).tobytes() for value in slices)
                times = predict_duration(field, treatment.beamline).total
                found[TIMES, key] = np.array([times.treatment_s, times.beam_on_s, times.spills])
            if path.parent == EXAMPLES:
                deliver(path, treatment.beamline, folder / path.stem, seed=1)
                for file, sha256 in hashes(folder / path.stem).items():
                    found[RECORDS, f"{path.stem} {file}"] = sha256.encode()
                patient = spotline.water_phantom(treatment, 80.0, 4.0)
                dose = reconstruct(treatment, treatment.beamline, patient, patient.grid).doses["planned"]
                found[DOSES, path.stem] = dose.physical.dose_Gy
                found[LETD, path.stem] = dose.letd_keV_um
    for ion, energies in LIBRARIES.items():
        library = build_library(
            spotline.load_beamline("cnao-h"),
            ion,
            origin=Origin(datetime(2026, 1, 1, tzinfo=UTC), ""),
            energies_MeV_u=energies,
            primaries=PRIMARIES,
            seed=1,
        )
        for energy in energies:
            entry = library.entry(energy)
            found[DEPTH, f"{ion} {energy}"] = entry.field_MeV_cm2_g
            found[WIDTH, f"{ion} {energy}"] = entry.core_mm
    return found


def elsewhere(environment: dict[str, str]) -> tuple[Results, dict[str, object]]:
    """The same in a process of another environment, and what its libraries took."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "results"
        subprocess.run(
            [sys.executable, "-m", "verification.processors", "--work", str(out)],
            env=environment,
            cwd=ROOT,
            check=True,
        )
        results, libraries = pickle.loads(out.read_bytes())
    return results, libraries


def difference(here: Any, there: Any, kind: str) -> float:
    """Largest difference, 0 if equal bit for bit; infinite where there can be no measure of it."""
    if isinstance(here, bytes):
        return 0.0 if here == there else float("inf")
    if here.shape != there.shape:
        return float("inf")
    if kind == TIMES:
        return float(np.max(np.abs(there / here - 1.0)))
    return float(np.max(np.abs(there.astype(float) - here)) / np.max(np.abs(here)))


def rows(here: Results, others: dict[str, Results]) -> Iterator[list[object]]:
    """For each kind and processor: how many were compared, how many differ, and by how much at most."""
    for kind in KINDS:
        keys = [key for key in here if key[0] == kind]
        for processor, there in others.items():
            assert here.keys() == there.keys()
            off = [difference(here[key], there[key], kind) for key in keys]
            differ, largest = sum(value > 0.0 for value in off), max(off)
            yield [
                kind,
                processor,
                len(keys),
                differ,
                Figure(MISSING, None) if np.isinf(largest) else figure(largest, ".1e" if differ else "g"),
                judge(differ, Limits(high=0.0)) if kind in EQUAL else "",
            ]


def page() -> list[str]:
    """Work everything out here and as every processor, and write the page."""
    begin = time.perf_counter()
    say("as found")
    here = work()
    done: dict[str, Results] = {}
    skipped, libraries = [], []
    for processor in PROCESSORS:
        if obstacle := processor.obstacle():
            skipped.append(f"{processor.name}: {obstacle}")
            continue
        say(processor.name)
        results, took = elsewhere(environment_of(processor))
        done[processor.name] = results
        settings = ", ".join(f"`{name}={value}`" for name, value in processor.variables().items())
        libraries.append([processor.name, settings, ", ".join(took["blas"]), str(took["numba"])])  # type: ignore[arg-type]
    found = taken()
    libraries.insert(0, ["as found", "-", ", ".join(found["blas"]), str(found["numba"])])  # type: ignore[arg-type]
    minutes = (time.perf_counter() - begin) / 60.0
    return [
        "# Verification: processors",
        fill(
            f"""What is equal between processors, and how far the rest is. `python -m verification.processors
            --write docs/reference/verification-processors.md` makes this page in {minutes:.0f} min. Made
            on {circumstances()}."""
        ),
        fill(
            """BLAS, NumPy, Numba and the C library choose their instructions by the processor. Each was
            told to take those of another one; *generic* has only what every 64-bit x86 has, without
            fused multiply-add. Compared is with what the libraries took by themselves. Plans of other
            planning systems are not part of the repository; they are compared if they stand beside it."""
        ),
        table(["processor", "told", "kernels of OpenBLAS (NumPy, SciPy)", "Numba compiles for"], libraries),
        *([fill("Not done: " + "; ".join(skipped) + ".")] if skipped else []),
        "## What comes out",
        table(
            ["what", "processor", "compared", "differ", "by at most", "none may differ"],
            rows(here, done),
            keys=2,
        ),
        fill(
            f"""In a treatment and its record nothing comes from BLAS, and every choice between equals
            follows the order of the plan. Doses are summed in 64 bits and kept in 32, so that last
            digits are rarely seen in them. What a library is made of is not equal: its widths are
            fitted, here to {PRIMARIES} primaries, of which few end far from the axis, and a fit ends a
            little aside when a sum is rounded otherwise. Shipped libraries are stored, so everybody has
            the same. A threshold on a dose, as the pass rate of gamma or a volume of a DVH, can count
            another voxel where the dose stands on the threshold."""
        ),
        fill(
            """Other architectures (64-bit ARM) and other C libraries have other last digits in exponentials
            and logarithms too. There the order of spots is the same as far as differences of the last
            digits go, which a test shows by changing them
            (`test_last_digits_of_the_costs_decide_nothing`), but records were not compared."""
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = page_parser("python -m verification.processors", (__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, metavar="FILE", help="leave the results of this process there")
    asked = parser.parse_args(arguments)
    if asked.work is not None:
        asked.work.write_bytes(pickle.dumps((work(), taken())))
    else:
        put_page(page(), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
