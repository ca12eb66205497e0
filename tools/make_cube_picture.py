"""Draw the particles of the shipped cube, layer by layer: the picture of the tutorial.

python tools/make_cube_picture.py      # into docs/images/cube-layers.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import spotline

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the picture."""
    plan = spotline.read_plan(ROOT / "examples" / "cube_proton_20mm.dcm")
    (field,) = plan.fields
    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    shown = np.linspace(0, len(field.layers) - 1, len(panels)).round().astype(int)
    for axes, layer in zip(panels, [field.layers[number] for number in shown], strict=True):
        spots = axes.scatter(
            layer.x_iso_mm,
            layer.y_iso_mm,
            c=layer.meterset / np.median(layer.meterset),
            s=36.0,
            marker="s",
            vmin=0.7,
            vmax=1.3,
            cmap="coolwarm",
        )
        axes.plot([-10, 10, 10, -10, -10], [-10, -10, 10, 10, -10], color="black", lw=0.8)
        axes.set_title(f"{layer.energy_MeV_u:g} MeV: {np.median(layer.meterset):.2g} a spot", fontsize=8)
        axes.set_aspect("equal")
    figure.colorbar(spots, ax=panels.tolist(), label="particles, of the median of the layer")
    figure.supxlabel("x at the isocentre (mm)", fontsize=9)
    figure.supylabel("y at the isocentre (mm)", fontsize=9)
    figure.savefig(ROOT / "docs" / "images" / "cube-layers.png", dpi=100)


if __name__ == "__main__":
    main()
