"""Deliver a plan in the simulated room, and say how well every spot got its particles.

python examples/deliver_a_plan.py FOLDER [PLAN]
"""

from __future__ import annotations

import sys
from pathlib import Path

import spotline

PLAN = Path(__file__).with_name("three_layers_proton.dcm")


def main(folder: str, plan: str | Path = PLAN) -> None:
    line = spotline.load_beamline("cnao-h")
    treatment = spotline.prepare(spotline.read_plan(plan), line)
    for field in treatment.fields:
        number, ion = field.field.number, field.beam.name
        print(
            f"field {number}: {len(field.slices)} slices, {field.n_spots} spots, {field.particles:.4g} {ion}"
        )

    # The same plan, line and seed give the same record, byte for byte.
    record = spotline.deliver(treatment, folder, seed=1)

    print(f"{record.summary['status']}: {record.path}")
    for delivered in record.fields:
        spots = delivered.spots
        deviation = spots["particles"] / spots["particles_planned"] - 1.0
        print(
            f"field {delivered.number}: {len(spots)} spots, {(abs(deviation) <= 0.01).mean():.1%} within 1 %"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
