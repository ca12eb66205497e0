"""A beam line like the proton gantries of the Danish Centre for Particle Therapy, for their plans.

Energies, protons per MU and spot sizes come from the published beam model (APTG/2022_DCPT_LET, CC BY 4.0):
``DCPT_beam_model__v2.csv`` of the reference data.  Energies are switched as fast as published for other
gantries with a cyclotron.  What is not published (nozzle, magnets, control, time structure) is assumed, with
the figures of cnao-h where there is no reason for others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spotline.arrays import Floats
from spotline.physics.ions import PROTON
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.units import FWHM_PER_SIGMA
from tests.lines.cyclotron import with_accelerator
from tests.lines.edit import copy_line, edit
from tools.make_cnao_tables import (
    QUOTED,
    counted_particles,
    effective_gap_mm,
    range_straggling_mm,
    upstream_thickness_mm,
)

STRIDE = 10
"""Every tenth row, one per MeV, of the published table."""
PLANE_TO_ISOCENTRE_mm = 500.0
"""The beam model holds on a plane 50 cm upstream of the isocentre."""


def read_beam_model(shared: Path) -> Floats:
    """Columns of the beam model, one row per 0.1 MeV: see ``beam_model.md`` beside it."""
    path = shared / "plans" / "dcpt" / "DCPT_beam_model__v2.csv"
    model: Floats = np.genfromtxt(path, delimiter=",", skip_header=6)
    return model


def fwhm_mm(sigma_mm: Floats, divergence_rad: Floats, correlation: Floats, distance_mm: float) -> Floats:
    """Spot size after a drift: ``sigma^2 + 2 rho sigma sigma' z + sigma'^2 z^2``."""
    variance = sigma_mm**2 + 2.0 * correlation * sigma_mm * divergence_rad * distance_mm
    variance += (divergence_rad * distance_mm) ** 2
    fwhm: Floats = FWHM_PER_SIGMA * np.sqrt(variance)
    return fwhm


def write_dcpt_line(folder: Path, shared: Path) -> Path:
    """Write the line into a folder, and return its TOML file.

    Parameters
    ----------
    folder : Path
        Where to write; may exist.
    shared : Path
        Folder of the reference data, with ``plans/dcpt``.
    """
    toml = copy_line("cnao-h", folder)
    for table in folder.glob("*.csv"):
        table.unlink()
    model = read_beam_model(shared)[::STRIDE]
    _write_energies(folder / "energies.csv", model)
    _write_optics(folder / "optics.csv", model)
    _write_toml(toml)
    return toml


def _write_energies(path: Path, model: Floats) -> None:
    nominal, real, per_MU = model[:, 0], model[:, 1], model[:, 3]
    ranges = RangeEnergy(PROTON, WATER).range_mm(real)
    depths = ranges - 0.93 * range_straggling_mm(PROTON, ranges)
    upstream = upstream_thickness_mm()
    counts = counted_particles(PROTON, nominal, upstream, effective_gap_mm(QUOTED["proton"], upstream))
    rows = [
        f"{e:.1f},{d:.3f},{n:.2f},{m:.0f}" for e, d, n, m in zip(nominal, depths, counts, per_MU, strict=True)
    ]
    header = "energy_MeV_u,range_mm,particles_per_count,particles_per_MU"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def _write_optics(path: Path, model: Floats) -> None:
    columns = [
        fwhm_mm(model[:, size], model[:, divergence], model[:, correlation], distance)
        for distance in (PLANE_TO_ISOCENTRE_mm, 0.0)
        for size, divergence, correlation in ((4, 6, 8), (5, 7, 9))
    ]
    rows = [
        f"{e:.1f}," + ",".join(f"{s:.3f}" for s in sizes)
        for e, *sizes in zip(model[:, 0], *columns, strict=True)
    ]
    header = "energy_MeV_u,fwhm_x_mm,fwhm_y_mm,fwhm_box_x_mm,fwhm_box_y_mm"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def _write_toml(toml: Path) -> None:
    text = toml.read_text(encoding="utf-8")
    ions, simulation = text.index("[[ions]]"), text.index("# From here on: the simulated room")
    toml.write_text(text[:ions] + IONS + text[simulation:], encoding="utf-8")
    edit(
        toml,
        ('name = "cnao-h"', 'name = "dcpt"'),
        ('title = "CNAO, horizontal line (from publications)"', 'title = "DCPT, gantry, for tests"'),
        ("gantry_angles_deg = [90.0]", "gantry_range_deg = [0.0, 360.0]"),
        # Virtual source distances as in the plans; the rest of the nozzle is assumed.
        ("x_source_to_isocentre_mm = 6200.0", "x_source_to_isocentre_mm = 2000.0"),
        ("y_source_to_isocentre_mm = 5500.0", "y_source_to_isocentre_mm = 2560.0"),
        ("field_x_mm = 200.0", "field_x_mm = 300.0"),
        ("field_y_mm = 200.0", "field_y_mm = 400.0"),
        ("distance_mm = 830.0", "distance_mm = 1130.0"),
        ("distance_mm = 815.0", "distance_mm = 1115.0"),
        ("distance_mm = 800.0", "distance_mm = 1100.0"),
        ("distance_mm = 730.0", "distance_mm = 1030.0"),
        ("distance_mm = 715.0", "distance_mm = 1015.0"),
        # 1 mT m/A and 300 A reach 150 and 200 mm at 244 MeV; 24 kA/s are 20 m/s there in x.
        ("integral_field_mT_m_per_A = 0.67", "integral_field_mT_m_per_A = 1.0"),
        ("integral_field_mT_m_per_A = 0.75", "integral_field_mT_m_per_A = 1.0"),
        ("pitch_mm = 6.6", "pitch_mm = 8.0"),
        ('int1_gain_map = "int1_gain.csv"', ""),
        ('int2_gain_map = "int2_gain.csv"', ""),
        # Spots of 40 000 counts: chambers that agree within half a percent differ by more than 100.
        ("int_difference_counts = 100", "int_difference_counts = 2000"),
        # No ring is empty before its end: without counts for so long the beam is missing.
        ("no_counts_us = 400000 ", "no_counts_us = 10000 "),
        ('"RW3-30mm" = 31.44', "RS_5CM = 57.0"),
    )
    text = with_accelerator(toml, ACCELERATOR).read_text(encoding="utf-8")
    for old, new in (
        ("current_limit_A = 200.0", "current_limit_A = 300.0"),
        ("slew_A_per_s = 23000.0", "slew_A_per_s = 24000.0"),
        ("pitch_mm = 1.65", "pitch_mm = 2.0"),
    ):
        text = text.replace(old, new)
    lines = (line for line in text.splitlines(keepends=True) if not line.startswith(("RIFI", '"RW3-')))
    toml.write_text("".join(lines), encoding="utf-8")


ACCELERATOR = """\
[accelerator]
kind = "cyclotron"
first_beam_s = 6.0        # assumed: as a step up
# Published for layers of a gantry with degrader: 0.6 s down, 6 s up (OpenTPS core 3.0.1, in its
# planDeliverySimulation); ATOM (arXiv:2310.12731) is called with 0.5 and 5 s.  Those of the Danish centre are
# not published.
switch_down_s = 0.6
switch_up_s = 6.0
repeat_s = 0.1            # assumed
longest_beam_s = 10.0     # assumed
beam_rise_s = 0.0005      # assumed
beam_fall_s = 0.0005      # assumed
intensity_levels = [1.0, 0.5, 0.2, 0.1]
line = 1
event_tolerance_us = 2000
extraction_stop_us = 500
degrader = { energy_MeV_u = 250.0 } # no transmission is published: the source makes up for it

"""

IONS = """\
[[ions]]
name = "proton"
energies = "energies.csv"
energy_selection = "continuous"
energy_tolerance_MeV_u = 0.05
full_intensity_per_s = 1.0e10
largest_intensity_per_s = 3.0e10
minimum_particles_per_spot = 1.0e6
centroid_counts = 100
pixel_centroid_counts = 100
optics = [{ focus = "4.0", table = "optics.csv" }] # the Scan Spot Tune ID of the plans

"""
