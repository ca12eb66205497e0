"""A beam line for which the TRiP98 example plans were not made, but which can deliver them.

The nozzle is that of cnao-h; energies are continuous, spots as small as the plans assume, and there is one
ripple filter of 3 mm.  Sizes, filter and angle are assumptions of the tests.
"""

from __future__ import annotations

from pathlib import Path

from tests.lines.edit import copy_line, edit

OPTICS_HEADER = "energy_MeV_u,fwhm_x_mm,fwhm_y_mm,fwhm_box_x_mm,fwhm_box_y_mm\n"
FWHM_mm = {
    "proton_optics_0.csv": {62.73: 4.0, 228.57: 4.0},
    "carbon_optics_small_0.csv": {115.23: 4.3, 229.76: 3.7, 283.76: 3.4, 398.84: 2.9},
}
"""By table and energy in MeV/u: the foci of the plans, and beyond their energies the same trend."""


def write_trip_line(folder: Path) -> Path:
    """Write the line into a folder, and return its TOML file."""
    toml = copy_line("cnao-h", folder)
    (folder / "carbon_optics_small_2.csv").unlink()
    (folder / "carbon_optics_large_0.csv").unlink()
    for name, sizes in FWHM_mm.items():
        rows = "".join(f"{e},{s},{s},{0.9 * s:.2f},{0.9 * s:.2f}\n" for e, s in sizes.items())
        (folder / name).write_text(OPTICS_HEADER + rows, encoding="utf-8")

    lines = [
        line.replace('energy_selection = "listed"', 'energy_selection = "continuous"')
        for line in toml.read_text(encoding="utf-8").splitlines(keepends=True)
        if not line.startswith(("RIFI1 =", "RIFI2 =")) and "carbon_optics_large_0.csv" not in line
    ]
    toml.write_text("".join(lines), encoding="utf-8")
    edit(
        toml,
        ('name = "cnao-h"', 'name = "trip"'),
        ("gantry_angles_deg = [90.0]", "gantry_angles_deg = [0.0]"),
        ("[passive_elements.range_modulators]", '[passive_elements.range_modulators]\n"3 mm RIFI" = 1.5'),
        (
            'range_modulators = 2, table = "carbon_optics_small_2',
            'range_modulators = 1, table = "carbon_optics_small_0',
        ),
    )
    return toml
