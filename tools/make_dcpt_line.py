"""Write the figures of the shipped line ``dcpt-like`` that come from the published beam model of DCPT.

The Danish Centre for Particle Therapy has published the beam that its gantries have, as a table of 1741
energies on a plane 50 cm upstream of the isocentre: ``DCPT_beam_model__v2.csv`` of APTG/2022_DCPT_LET on
GitHub (CC BY 4.0).  This program takes every 50th row of it, carries the spots through air to the isocentre,
fits what scatters them upstream, and exchanges these figures in the line::

    python -m tools.make_dcpt_line DCPT_beam_model__v2.csv --out FOLDER

What it takes from elsewhere, and what is assumed, stands in the TOML file.  It is deterministic: running it
again gives the same bytes.  Besides, it prints how well the fit holds at energies that it was not made with.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from spotline import load_beamline, write_beamline
from spotline.arrays import Floats, Integers
from spotline.machine import BeamLine
from spotline.machine.geometry import interpolate
from spotline.machine.library.grid import range_sigma_mm
from spotline.machine.monitors import Plane
from spotline.machine.optics import spot_sigma_mm
from spotline.physics.fermi_eyges import Layer, propagate
from spotline.physics.ionization import particles_per_count
from spotline.physics.ions import PROTON
from spotline.physics.materials import AIR, WATER
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.stopping import RangeEnergy, mean_excitation_eV
from spotline.tables import EnergyTable, OpticsTable
from spotline.units import FWHM_PER_SIGMA

NAME = "dcpt-like"
ION = "proton"
STEP_MeV = 5.0
"""Between the rows that are shipped."""
CALIBRATION_MeV = 150.0
"""Where the ionization of the chambers says how many counts a monitor unit has."""
PLANES_mm = (200.0, 100.0, -100.0, -200.0)
"""Where the fitted beam is to be as wide as the published one; at the isocentre it is, by its table."""
PEAK_sigmas = 0.93
"""A Bragg peak lies so many standard deviations of the range before the mean range ..."""
PEAK_share = 0.0025
"""... and, because nuclear reactions thin the beam, so much of the range more: with both, peaks of the beam
library of the line are met within 0.1 mm."""


@dataclass(frozen=True, slots=True, eq=False)
class BeamModel:
    """Columns of the published table, each of shape (n,), ascending in energy.

    Attributes
    ----------
    plane_mm : float
        Distance of the plane from the isocentre, upstream positive.
    nominal_MeV, real_MeV, sigma_MeV : ndarray
        Energy as plans name it; its mean and its standard deviation.
    per_MU : ndarray
        Protons per monitor unit.
    sigma_mm, divergence_rad, correlation : dict of str to ndarray
        Of the spots in the plane, by "x" and "y".
    """

    plane_mm: float
    nominal_MeV: Floats
    real_MeV: Floats
    sigma_MeV: Floats
    per_MU: Floats
    sigma_mm: dict[str, Floats]
    divergence_rad: dict[str, Floats]
    correlation: dict[str, Floats]

    def rows(self, chosen: Integers) -> BeamModel:
        """Those rows alone, by their places."""

        def some(columns: dict[str, Floats]) -> dict[str, Floats]:
            return {axis: column[chosen] for axis, column in columns.items()}

        return BeamModel(
            self.plane_mm,
            self.nominal_MeV[chosen],
            self.real_MeV[chosen],
            self.sigma_MeV[chosen],
            self.per_MU[chosen],
            some(self.sigma_mm),
            some(self.divergence_rad),
            some(self.correlation),
        )

    def sigma_at_mm(self, axis: Plane, to_isocentre_mm: float) -> Floats:
        """Standard deviation of the spots in air in another plane, upstream positive.

        Downstream they drift and air scatters them, as in simulations that start in the plane; upstream they
        drift back without, because what the table does not say is fitted.
        """
        spread_mm, divergence_mrad = self.sigma_mm[axis], 1e3 * self.divergence_rad[axis]
        start = PhaseSpace(spread_mm, divergence_mrad, self.correlation[axis] * spread_mm * divergence_mrad)
        way_mm = self.plane_mm - to_isocentre_mm
        if way_mm < 0.0:
            return np.asarray(start.drift(way_mm).sigma_mm)
        found = propagate(start, PROTON, self.real_MeV, [Layer(AIR, way_mm)])
        return np.asarray(found.phase_space.sigma_mm)


def read_beam_model(path: Path) -> BeamModel:
    """Read a published table, of which comments say the plane."""
    text = path.read_text(encoding="utf-8")
    plane = re.search(r"BMODPOS ([\d.]+) mm", text)
    if plane is None:
        raise SystemExit(f"{path}: does not say its plane (BMODPOS); give a beam model of DCPT")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    c = np.array([[float(cell) for cell in line.split(",")] for line in lines]).T
    return BeamModel(float(plane[1]), *c[:4], *({"x": c[k], "y": c[k + 1]} for k in (4, 6, 8)))


def thinned(model: BeamModel) -> BeamModel:
    """Rows at multiples of `STEP_MeV`, and the ends."""
    steps = model.nominal_MeV / STEP_MeV
    chosen = np.abs(steps - np.rint(steps)) < 1e-6
    chosen[[0, -1]] = True
    return model.rows(np.flatnonzero(chosen))


def depth_mm(model: BeamModel, nozzle_mm: float) -> Floats:
    """Depth of the Bragg peaks behind the air before the water: less deep for a larger spread."""
    table = RangeEnergy(PROTON, WATER, mean_excitation_eV(PROTON, WATER))
    wide_mm = [
        range_sigma_mm(PROTON, energy, sigma / energy)
        for energy, sigma in zip(model.real_MeV.tolist(), model.sigma_MeV.tolist(), strict=True)
    ]
    range_mm = table.range_mm(model.real_MeV)
    depth: Floats = (1.0 - PEAK_share) * range_mm - PEAK_sigmas * np.array(wide_mm) - nozzle_mm
    return depth


def counts_per_MU(model: BeamModel, line: BeamLine) -> float:
    """Counts of an integral chamber in one monitor unit, by the ionization of its gas at one energy."""
    int1 = line.facts.monitor("int1")
    assert int1 is not None
    real = np.interp([CALIBRATION_MeV], model.nominal_MeV, model.real_MeV)
    counted = particles_per_count(
        PROTON, real, charge_quantum_C=1e-15 * line.facts.chambers.charge_quantum_fC, gap_mm=int1.gap_mm
    )
    per_MU = np.interp([CALIBRATION_MeV], model.nominal_MeV, model.per_MU)
    return float(np.rint(per_MU / counted)[0])


def energy_table(line: BeamLine, few: BeamModel, counts: float) -> EnergyTable:
    """Energies of the line: those of the model, and what follows from them."""
    beam = line.beam(ION)
    assert beam is not None
    return EnergyTable(
        few.nominal_MeV.round(2),
        depth_mm(few, beam.nozzle_mm).round(2),
        (few.per_MU / counts).round(1),
        few.per_MU.round(0),
        few.real_MeV.round(4),
        few.sigma_MeV.round(4),
    )


def optics_table(few: BeamModel, box_mm: Sequence[Floats]) -> OpticsTable:
    """Spot sizes of the model at the isocentre, beside standard deviations at the chambers."""
    sigma_mm = [few.sigma_at_mm("x", 0.0), few.sigma_at_mm("y", 0.0), *box_mm]
    return OpticsTable(few.nominal_MeV.round(2), *(FWHM_PER_SIGMA * np.array(sigma_mm)).round(3))


def make_line(path: Path) -> BeamLine:
    """The shipped line with the figures of a published table; what is equal keeps its words."""
    model, line = read_beam_model(path), load_beamline(NAME)
    few, version = thinned(model), line.facts.version
    counts = counts_per_MU(model, line)
    line = line.changed(
        {f"ions.{ION}.energies": energy_table(line, few, counts)},
        source=f"every {STEP_MeV:g} MeV of [BM] (CC BY 4.0); [CALC] range_mm: range of beam_MeV_u in water, "
        f"less {PEAK_sigmas:g} of its standard deviation, {100 * PEAK_share:g} % and nozzle_mm; [CALC] "
        f"particles_per_count: particles_per_MU / {counts:g}, by the charge of a count in the gap of INT1 at "
        f"{CALIBRATION_MeV:g} MeV, as a monitor unit is the same charge at all energies",
        version=version,
    )
    sizes = f"ions.{ION}.optics[0].table"
    without_boxes = line.changed(
        {sizes: optics_table(few, [few.sigma_mm[axis] for axis in ("x", "y")])}, source="until fitted"
    )
    fitted = fit(without_boxes, few.rows(np.arange(0, len(few.nominal_MeV), 2)))
    places = [monitor.distance_mm for monitor in line.facts.monitors]
    middle_mm = round(0.5 * (min(places) + max(places)), 1)
    boxes = spot_sigma_mm(
        without_boxes.changed(fitted, source="fitted"), ION, few.nominal_MeV, to_isocentre_mm=middle_mm
    )
    line = line.changed(
        fitted,
        source="[CALC] fitted to widths of [BM] from 20 cm before to 20 cm behind the isocentre",
        version=version,
    )
    return line.changed(
        {sizes: optics_table(few, boxes)},
        source=f"every {STEP_MeV:g} MeV of [BM] (CC BY 4.0), whose plane is {few.plane_mm:g} mm upstream of "
        f"the isocentre; [CALC] fwhm_x_mm, fwhm_y_mm: drifted and scattered in air; [CALC] fwhm_box_x_mm, "
        f"fwhm_box_y_mm: by the fitted nozzle, {middle_mm:g} mm upstream",
        version=version,
    )


def fit(line: BeamLine, model: BeamModel) -> dict[str, float]:
    """Fit the water that scatters as window and monitors do, and the emittance: values by their keys."""
    keys = "nozzle.layers[0].thickness_mm", f"nozzle.emittance_mm_mrad.{ION}"

    def values(found: Floats) -> dict[str, float]:
        return dict(zip(keys, np.round(found, 3).tolist(), strict=True))

    found = least_squares(
        lambda tried: errors(line.changed(values(tried), source="a trial"), model).ravel(),
        [0.6, 5.0],
        bounds=([0.05, 0.5], [1.2, 50.0]),
        diff_step=0.02,
    )
    return values(found.x)


def errors(line: BeamLine, model: BeamModel) -> Floats:
    """Relative error of the widths of a line in `PLANES_mm`, mean of x and y: shape (n_planes, n).

    The engine takes the mean of both planes for how spots widen.
    """
    rows = []
    for plane in PLANES_mm:
        ours = spot_sigma_mm(line, ION, model.nominal_MeV, to_isocentre_mm=plane)
        published = [model.sigma_at_mm(axis, plane) for axis in ("x", "y")]
        rows.append(np.hypot(*ours) / np.hypot(*published) - 1.0)
    return np.array(rows)


def between(model: BeamModel) -> BeamModel:
    """Rows of the table that were not taken."""
    return model.rows(np.flatnonzero(~np.isin(model.nominal_MeV, thinned(model).nominal_MeV)))


def held_out(line: BeamLine, model: BeamModel) -> list[tuple[str, float, str]]:
    """How far a line is from rows that it was not made with: what, the largest difference, its unit."""
    others, table = between(model), line.energies[ION]
    MU = line.particles_per_MU(ION, others.nominal_MeV)
    assert MU is not None
    assert table.beam_MeV_u is not None
    assert table.beam_sigma_MeV_u is not None
    found = [("protons per monitor unit", 100.0 * np.abs(MU / others.per_MU - 1.0), "%")]
    for name, column, published in (
        ("mean energy of the beam", table.beam_MeV_u, others.real_MeV),
        ("standard deviation of its energy", table.beam_sigma_MeV_u, others.sigma_MeV),
    ):
        ours = interpolate(others.nominal_MeV, table.energy_MeV_u, column)
        found.append((name, np.abs(ours - published), "MeV"))
    optics = next(iter(line.optics.values()))
    axes: tuple[tuple[Plane, Floats], ...] = (("x", optics.fwhm_x_mm), ("y", optics.fwhm_y_mm))
    for axis, fwhm_mm in axes:
        ours = interpolate(others.nominal_MeV, optics.energy_MeV_u, fwhm_mm)
        published = FWHM_PER_SIGMA * others.sigma_at_mm(axis, 0.0)
        found.append(
            (f"width of the spots at the isocentre, {axis}", 100.0 * np.abs(ours / published - 1.0), "%")
        )
    few = thinned(model)
    left_out = few.rows(np.arange(1, len(few.nominal_MeV), 2))
    for plane, off in zip(PLANES_mm, np.abs(errors(line, left_out)), strict=True):
        where = f"{abs(plane):g} mm {'before' if plane > 0.0 else 'behind'} the isocentre"
        found.append((f"width of the spots {where}, mean of x and y", 100.0 * off, "%"))
    return [(what, float(off.max()), unit) for what, off, unit in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the line."""
    parser = argparse.ArgumentParser("python -m tools.make_dcpt_line", description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="DCPT_beam_model__v2.csv")
    parser.add_argument("--out", type=Path, help="new folder for the line; by default nothing is written")
    asked = parser.parse_args(arguments)
    line = make_line(asked.table)
    for what, largest, unit in held_out(line, read_beam_model(asked.table)):
        print(f"{what}: within {largest:.4g} {unit} at energies that the line was not made with")
    if asked.out is not None:
        write_beamline(line, asked.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
