"""Read what a delivery left, and say where the beam was and how long it took.

python examples/read_a_record.py FOLDER
"""

from __future__ import annotations

import sys

import spotline


def main(folder: str) -> None:
    record = spotline.open_record(folder)
    for field in record.fields:
        spots, spills = field.spots, field.spills
        print(f"field {field.number}: {len(spots)} spots in {len(spills)} spills")

        # Positions are measured by the strips; with few counts they are only those of a strip.
        found = spots[spots["position_valid"]]
        for axis in ("x", "y"):
            off_mm = found[f"{axis}_mm"] - found[f"{axis}_planned_mm"]
            print(f"  {axis}: {off_mm.mean():+.2f} mm, standard deviation {off_mm.std():.2f} mm")

        # The course of the beam, a row per millisecond.
        counts = field.trend["int1_counts"]
        print(f"  beam in {(counts > 0).sum() / 1000:.2f} s, {counts.sum():.0f} counts of INT1")
        for interlock in field.interlocks:
            print(f"  interlock: {interlock}")


if __name__ == "__main__":
    main(*sys.argv[1:])
