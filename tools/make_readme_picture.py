"""Deliver the shipped carbon example and draw the picture of the README.

python tools/make_readme_picture.py      # into docs/images/first-delivery.png
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import spotline
from spotline.faces.report import figure_overview

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the picture."""
    plan = spotline.read_plan(ROOT / "examples" / "uniform_carbon_60mm.dcm")
    treatment = spotline.prepare(plan, spotline.load_beamline("cnao-h"))
    with tempfile.TemporaryDirectory() as folder:
        record = spotline.deliver(treatment, Path(folder) / "record", seed=1)
        figure_overview(record).savefig(ROOT / "docs" / "images" / "first-delivery.png", dpi=100)


if __name__ == "__main__":
    main()
