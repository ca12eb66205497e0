"""Compute the dose that a delivery made in water, and hold it against the plan.

python examples/dose_of_a_record.py FOLDER [PLAN]
"""

from __future__ import annotations

import sys
from pathlib import Path

import spotline

PLAN = Path(__file__).with_name("three_layers_proton.dcm")
SURFACE_mm = 80.0
"""Water in front of the isocentre."""


def main(folder: str, plan: str | Path = PLAN) -> None:
    line = spotline.load_beamline("cnao-h")
    treatment = spotline.prepare(spotline.read_plan(plan), line)
    water = spotline.water_phantom(treatment, surface_mm=SURFACE_mm, spacing_mm=3.0)

    done = spotline.reconstruct(spotline.open_record(folder), line, water, water.grid)

    planned = done.doses["planned"].physical
    print(f"planned: up to {planned.dose_Gy.max():.3f} Gy")
    for what in ("measured", "true"):  # what the chambers say, and what the simulation knows
        found = spotline.compare_doses(planned, done.doses[what].physical)
        gamma = found.gammas[0]
        print(f"{what}: {gamma.name} {gamma.pass_rate:.1%}, largest difference {found.largest_Gy:.3f} Gy")


if __name__ == "__main__":
    main(*sys.argv[1:])
