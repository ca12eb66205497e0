"""Largest memory and time of whole plans, each in a process of its own.

::

    python -m verification.dose_memory PLAN
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import spotline
from spotline.dicom.ct import read_ct
from spotline.dicom.dose import read_dose
from spotline.dicom.structures import read_structures
from spotline.dose.calibration import nominal_calibration
from spotline.dose.engine.beams import beams_of_treatment
from spotline.dose.engine.forward import DoseEngine, Patient
from spotline.dose.engine.water_and_grid import grid_around
from spotline.dose.grid import Grid
from spotline.dose.patient import patient
from spotline.dose.phantom import phantom
from verification.figures import held

SHARED = Path(__file__).resolve().parents[2] / "shared"
PLANS = {
    "dcpt": "DCPT, 18 436 spots, in water",
    "headphantom": "head phantom, 1907 spots, in its CT",
}
GRID_mm = 2.0
LIMIT_MiB = 2048.0


def compute(name: str) -> None:
    """Compute a plan, and print voxels, seconds without reading and compilation, and the largest dose."""
    folder = SHARED / "plans" / name
    line = spotline.load_beamline("dcpt-like")
    if name == "dcpt":
        grid = read_dose(folder / "raystation_ramp_full_dose_total.dcm").grid
        plan, water = folder / "raystation_ramp_full_plan.dcm", phantom(grid)
        meets = Patient(water.rsp, water.grid, "HFDL")
    else:
        (plan,) = folder.glob("RN.*.dcm")
        (structures,) = folder.glob("RS.*.dcm")
        image = read_ct(folder)
        power = patient(image, nominal_calibration(), structures=read_structures(structures))
        meets = Patient(power.rsp, power.grid, image.patient_position)
    beams = beams_of_treatment(spotline.prepare(spotline.read_plan(plan), line))
    if name != "dcpt":
        grid = grid_around(beams, line, power, meets.position, GRID_mm)
    coarse = Grid.covering(grid.lower_mm, grid.upper_mm, 20.0)
    DoseEngine(line, meets, coarse).add(beams[:1])  # compiles
    began = time.perf_counter(), time.process_time()
    engine = DoseEngine(line, meets, grid)
    engine.add(beams)
    dose = engine.dose_Gy
    wall_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    print(int(np.prod(grid.shape)), wall_s, cpu_s, float(dose.max()), peak_MiB())


def peak_MiB() -> float:
    """Largest memory of this process so far, NaN where the system does not tell.

    The resource usage of a child would include what its parent held when it was started.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    peaks = [int(line.split()[1]) / 1024.0 for line in lines if line.startswith("VmHWM:")]
    return peaks[0] if peaks else math.nan


def rows() -> list[tuple[object, ...]]:
    """Plan, voxels of the dose, seconds of all threads, largest memory, verdict."""
    found: list[tuple[object, ...]] = []
    for name, title in PLANS.items():
        process = subprocess.run(
            [sys.executable, "-m", "verification.dose_memory", name],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        voxels, _, cpu_s, _, told = process.stdout.split()
        peak = float(told)
        known = not math.isnan(peak)
        verdict = held(peak < LIMIT_MiB) if known else "-"
        memory = f"{peak:.0f} MiB" if known else "not known on this system"
        found.append((title, voxels, f"{float(cpu_s):.1f}", memory, verdict))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute one plan."""
    (name,) = sys.argv[1:] if arguments is None else arguments
    compute(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
