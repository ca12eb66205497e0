"""Write the CSV tables of the shipped CNAO beam lines.

The energy lists of CNAO are not published as tables; some pairs of energy and depth are, and so are
step, end points and number of energies.  This program joins the quoted pairs by physics: what is quoted
comes out exactly, what lies between is computed.  The same holds for the particles per monitor count and
for the spot sizes.  It is deterministic: running it again gives the same bytes.

The research line has helium and oxygen besides, of which nothing is published but that they are meant: their
lists are computed, and their spot sizes assumed.

    python tools/make_cnao_tables.py                 # into src/spotline/beamlines
    python tools/make_cnao_tables.py --into FOLDER

Sources, by the codes that the tables and TOML files use:

DDS   Giordanengo et al., Med. Phys. 42 (2015) 263
QA    Mirandola et al., Med. Phys. 42 (2015), doi 10.1118/1.4928397
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from spotline.arrays import Floats
from spotline.physics.ionization import particles_per_count
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import AIR, WATER
from spotline.physics.scattering import highland_angle_mrad
from spotline.physics.stopping import RangeEnergy
from spotline.units import FWHM_PER_SIGMA

DEPTH_STEP_mm = 2.0  # QA 2.A.1
CHARGE_QUANTUM_C = 200e-15  # DDS III.B.1
SPOT_SIZE_STRIDE = 5  # every fifth energy is enough for the smooth spot sizes

# Scatterers between the place where the spot size "at the chambers" holds and the isocentre.
CHAMBERS_WET_mm = 0.9  # DDS III.B.1
CHAMBERS_TO_ISOCENTRE_mm = 750.0  # ASSUMED, middle of the two boxes
RIPPLE_FILTER_WET_mm = 1.0  # mean of a profile from 0 to 2 mm (fitted to QA Table III)
RIPPLE_FILTER_TO_ISOCENTRE_mm = 680.0  # QA Table III; the other one stands upstream of the chambers

NOZZLE_mm = 3.30  # with which simulated peaks of protons and carbon ions lie at their quoted depths
SHALLOWEST_mm = 30.0  # as the clinical ions
DEEPEST_mm = {"helium": 300.0, "oxygen": 300.0}  # as far as the rigidity allows
LARGEST_RIGIDITY_T_m = 6.35  # of carbon ions of 400 MeV/u, DDS Table 1
CHAMBER_AS = {"helium": "proton", "oxygen": "carbon"}  # whose effective gap is taken


@dataclass(frozen=True, slots=True)
class Quoted:
    """What the publications say about one ion.

    Attributes
    ----------
    ion : Ion
        The species.
    depths : dict of float to float
        Nominal depth of the Bragg peak in mm -> energy in MeV/u.  QA abstract, 2.A.6.a, 2.A.9 and
        DDS IV.C; first and last are the ends of the list.
    counts : pair of (float, float)
        Energy in MeV/u and particles per count, lowest and highest.  DDS III.B.1.
    """

    ion: Ion
    depths: dict[float, float]
    counts: tuple[tuple[float, float], tuple[float, float]]


QUOTED = {
    "proton": Quoted(
        PROTON,
        {30.0: 62.73, 50.0: 81.56, 250.0: 198.11, 320.0: 228.57},
        ((62.0, 7.2e3), (226.0, 1.9e4)),
    ),
    "carbon": Quoted(
        CARBON,
        {30.0: 115.23, 50.0: 150.71, 100.0: 221.45, 150.0: 279.97, 250.0: 380.45, 270.0: 398.84},
        ((115.0, 341.0), (399.0, 767.0)),
    ),
}


def range_straggling_mm(ion: Ion, range_mm: Floats) -> Floats:
    """Standard deviation of the range in water: Bortfeld, Med. Phys. 24 (1997) 2024, eq. 18.

    For a heavier ion of the same range it is smaller by the root of the mass number.
    """
    sigma: Floats = 0.12 * (range_mm / 10.0) ** 0.935 / math.sqrt(ion.mass_number)
    return sigma


def energy_list_MeV_u(quoted: Quoted) -> tuple[Floats, Floats]:
    """Energies of the 2 mm depth grid, rounded to 0.01 MeV/u, and the depths themselves in mm.

    Depth of the peak = CSDA range - 0.93 sigma - offset.  The offset (nozzle, and what the model
    misses) follows from each quoted pair and is interpolated in depth by PCHIP.
    """
    table = RangeEnergy(quoted.ion, WATER)
    known_depths = np.array(list(quoted.depths))
    known_ranges = table.range_mm(list(quoted.depths.values()))
    offsets = known_ranges - 0.93 * range_straggling_mm(quoted.ion, known_ranges) - known_depths
    offset_of = PchipInterpolator(known_depths, offsets)
    depths = np.arange(known_depths[0], known_depths[-1] + 0.5, DEPTH_STEP_mm)
    ranges = depths + offset_of(depths)
    for _ in range(50):  # contraction by a factor of about 0.01 per step
        ranges = depths + offset_of(depths) + 0.93 * range_straggling_mm(quoted.ion, ranges)
    return np.round(table.energy_MeV_u(ranges), 2), depths


def research_list_MeV_u(ion: Ion) -> tuple[Floats, Floats]:
    """Energies of a 2 mm depth grid for an ion without quoted pairs, and the depths in mm.

    Depth of the peak = CSDA range - 0.93 sigma - `NOZZLE_mm`, up to the largest rigidity of the line.
    """
    table = RangeEnergy(ion, WATER)
    depths = np.arange(SHALLOWEST_mm, DEEPEST_mm[ion.name] + 0.5, DEPTH_STEP_mm)
    ranges = depths + NOZZLE_mm
    for _ in range(50):  # contraction by a factor of about 0.01 per step
        ranges = depths + NOZZLE_mm + 0.93 * range_straggling_mm(ion, ranges)
    energies = np.round(table.energy_MeV_u(ranges), 2)
    reached = np.array([ion.rigidity_T_m(float(energy)) <= LARGEST_RIGIDITY_T_m for energy in energies])
    return energies[reached], depths[reached]


def counted_particles(ion: Ion, energy_MeV_u: Floats, upstream_mm: float, gap_mm: float) -> Floats:
    """Particles per count in nitrogen, with the charge of a count at CNAO."""
    return particles_per_count(
        ion, energy_MeV_u, charge_quantum_C=CHARGE_QUANTUM_C, gap_mm=gap_mm, upstream_mm=upstream_mm
    )


def upstream_thickness_mm() -> float:
    """Water-equivalent thickness that gives the quoted energy dependence for carbon (3 digits quoted)."""
    (low, low_counts), (high, high_counts) = QUOTED["carbon"].counts

    def excess(thickness: float) -> float:
        low_high = counted_particles(CARBON, np.array([low, high]), thickness, 5.0)
        return float(low_high[1] / low_high[0]) - high_counts / low_counts

    return float(brentq(excess, 0.0, 10.0))


def effective_gap_mm(quoted: Quoted, upstream_mm: float) -> float:
    """Gap that reproduces the quoted particles per count (geometric mean of both energies)."""
    energies = np.array([energy for energy, _ in quoted.counts])
    counts = np.array([count for _, count in quoted.counts])
    ratio = counted_particles(quoted.ion, energies, upstream_mm, 1.0) / counts
    return float(np.exp(np.mean(np.log(ratio))))


def spot_fwhm_mm(
    ion: Ion, energy_MeV_u: Floats, ends_MeV_u: Sequence[float], ends_mm: Sequence[float]
) -> Floats:
    """Spot size between two end points: ``fwhm^2 = a^2 + (b / pv)^2``.

    A constant part from the optics and one that shrinks with energy like multiple scattering in window,
    chambers and air.  a and b follow from the end points.
    """

    def inverse_pv(energies: Iterable[float]) -> Floats:
        return np.array([1.0 / (ion.momentum_MeV_c(e) * ion.beta(e)) for e in energies])

    low, high = inverse_pv(ends_MeV_u) ** 2
    b_squared = (ends_mm[0] ** 2 - ends_mm[1] ** 2) / (low - high)
    a_squared = ends_mm[1] ** 2 - b_squared * high
    fwhm: Floats = np.sqrt(a_squared + b_squared * inverse_pv(energy_MeV_u) ** 2)
    return fwhm


def fwhm_at_chambers_mm(ion: Ion, energy_MeV_u: Floats, fwhm_mm: Floats, ripple_filters: int) -> Floats:
    """Spot size at the chambers: that at the isocentre less, in quadrature, the scattering on the way.

    Highland angles of the chambers and of a ripple filter downstream of them times their distance, and of
    the air times distance / sqrt(3); at least half of the size at the isocentre.
    """
    # Material, thickness and lever arm of each layer.
    layers = [
        (WATER, CHAMBERS_WET_mm, CHAMBERS_TO_ISOCENTRE_mm),
        (AIR, CHAMBERS_TO_ISOCENTRE_mm, CHAMBERS_TO_ISOCENTRE_mm / math.sqrt(3.0)),
    ]
    if ripple_filters:
        layers.append((WATER, RIPPLE_FILTER_WET_mm, RIPPLE_FILTER_TO_ISOCENTRE_mm))
    sizes = []
    for energy, fwhm in zip(energy_MeV_u, fwhm_mm, strict=True):
        spreads_um = [highland_angle_mrad(ion, energy, stuff, thick) * arm for stuff, thick, arm in layers]
        scattered = FWHM_PER_SIGMA * math.hypot(*spreads_um) / 1000.0
        sizes.append(math.sqrt(max(fwhm**2 - scattered**2, (0.5 * fwhm) ** 2)))
    return np.array(sizes)


def gain_map(coefficients: Sequence[float], amplitude: float) -> tuple[Floats, Floats, Floats]:
    """Smooth synthetic gain over the field, 1 in the middle and at most `amplitude` away from 1.

    ``1 + k (c0 u + c1 v + c2 u v + c3 u^2 + c4 v^2 + c5 u^3)`` with u and v from -1 to 1 over the grid.
    """
    axis = np.arange(-104.0, 104.5, 26.0)
    u, v = np.meshgrid(axis / 104.0, axis / 104.0)
    terms = (u, v, u * v, u**2, v**2, u**3)
    shape = np.zeros_like(u)
    for coefficient, term in zip(coefficients, terms, strict=True):
        shape += coefficient * term
    gain = 1.0 + amplitude * shape / np.abs(shape).max()
    x, y = np.meshgrid(axis, axis)
    return x, y, gain


def write_csv(path: Path, comments: Sequence[str], header: str, rows: Iterable[str]) -> None:
    """Write one table."""
    lines = [*(f"# {comment}" for comment in comments), header, *rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_energies(folder: Path, name: str) -> Floats:
    """Write the energy table of an ion; return its energies."""
    quoted = QUOTED[name]
    energies, depths = energy_list_MeV_u(quoted)
    upstream = upstream_thickness_mm()
    gap = effective_gap_mm(quoted, upstream)
    counts = counted_particles(quoted.ion, energies, upstream, gap)
    pairs = ", ".join(f"{depth:g} mm - {energy:.2f}" for depth, energy in quoted.depths.items())
    per_count = ", ".join(f"{count:g} at {energy:g}" for energy, count in quoted.counts)
    comments = [
        f"Energies of {name} beams at CNAO: generated by tools/make_cnao_tables.py, do not edit.",
        "energy_MeV_u: [CALC] Bethe range in water, through the pairs quoted in [QA] and [DDS IV.C]:",
        f"  {pairs} MeV/u.",
        "range_mm: [QA 2.A.1] nominal depth of the Bragg peak in water, in steps of 2 mm.",
        "particles_per_count: [CALC] 200 fC W / (e S_N2 rho g), W = 36.5 eV, rho at 20 C and 101325 Pa,",
        f"  S_N2 behind {upstream:.2f} mm of water (fitted to carbon), g = {gap:.3f} mm (effective, fitted),",
        f"  to reproduce [DDS III.B.1] {per_count} MeV/u.",
    ]
    rows = (f"{e:.2f},{d:g},{n:.5g}" for e, d, n in zip(energies, depths, counts, strict=True))
    write_csv(folder / f"{name}_energies.csv", comments, "energy_MeV_u,range_mm,particles_per_count", rows)
    return energies


def write_research_energies(folder: Path, ion: Ion) -> Floats:
    """Write the energy table of an ion without quoted pairs; return its energies."""
    energies, depths = research_list_MeV_u(ion)
    upstream = upstream_thickness_mm()
    gap = effective_gap_mm(QUOTED[CHAMBER_AS[ion.name]], upstream)
    counts = counted_particles(ion, energies, upstream, gap)
    comments = [
        f"Energies of {ion.name} of a research line: generated by tools/make_cnao_tables.py, do not edit.",
        "energy_MeV_u: [ASSUMED] Bethe range in water less 0.93 sigma and the nozzle is range_mm;",
        f"  nozzle {NOZZLE_mm:g} mm, up to {LARGEST_RIGIDITY_T_m:g} T m; nothing is published.",
        "range_mm: [ASSUMED] depth of the Bragg peak in water, in steps of 2 mm as for the clinical ions.",
        "particles_per_count: [ASSUMED] 200 fC W / (e S_N2 rho g), W = 36.5 eV, rho at 20 C and 101325 Pa,",
        f"  S_N2 behind {upstream:.2f} mm of water, g = {gap:.3f} mm (as of {CHAMBER_AS[ion.name]}).",
    ]
    rows = (f"{e:.2f},{d:g},{n:.5g}" for e, d, n in zip(energies, depths, counts, strict=True))
    header = "energy_MeV_u,range_mm,particles_per_count"
    write_csv(folder / f"{ion.name}_energies.csv", comments, header, rows)
    return energies


def write_optics(
    path: Path, ion: Ion, energies: Floats, ends_mm: tuple[float, float], ripple_filters: int, source: str
) -> None:
    """Write one table of spot sizes."""
    some = np.unique(np.append(energies[::SPOT_SIZE_STRIDE], energies[-1]))
    fwhm = spot_fwhm_mm(ion, some, (energies[0], energies[-1]), ends_mm)
    box = fwhm_at_chambers_mm(ion, some, fwhm, ripple_filters)
    comments = [
        "Spot sizes: generated by tools/make_cnao_tables.py, do not edit.",
        f"fwhm_x_mm, fwhm_y_mm: {source}; between the ends [CALC] fwhm^2 = a^2 + (b / pv)^2.",
        "fwhm_box_x_mm, fwhm_box_y_mm: [CALC] less, in quadrature, the Highland scattering of 0.9 mm (water)",
        "  of chambers [DDS III.B.1] 0.75 m upstream and of the air; round spots [ASSUMED].",
    ]
    if ripple_filters:
        comments.append("  Also less that of one ripple filter of 1 mm (water) at 680 mm [QA Table III].")
    header = "energy_MeV_u,fwhm_x_mm,fwhm_y_mm,fwhm_box_x_mm,fwhm_box_y_mm"
    rows = (f"{e:.2f},{s:.3f},{s:.3f},{b:.3f},{b:.3f}" for e, s, b in zip(some, fwhm, box, strict=True))
    write_csv(path, comments, header, rows)


def write_gain_map(path: Path, coefficients: Sequence[float]) -> None:
    """Write one gain map."""
    comments = [
        "Relative gain of an integral chamber: generated by tools/make_cnao_tables.py, do not edit.",
        "Amplitude +-1.5 % and the grid of 26 mm: [DDS IV.B]; one row more on each side covers the field.",
        "Shape: [ASSUMED], a smooth polynomial; the measured maps are not published.",
    ]
    x, y, gain = gain_map(coefficients, 0.015)
    rows = (f"{a:g},{b:g},{g:.5f}" for a, b, g in zip(x.ravel(), y.ravel(), gain.ravel(), strict=True))
    write_csv(path, comments, "x_iso_mm,y_iso_mm,gain", rows)


def write_line(folder: Path, carbon_larger_mm: float, tilt: float) -> None:
    """Write all tables of one line.

    Parameters
    ----------
    folder : Path
        Folder of the line.
    carbon_larger_mm : float
        By how much the carbon spots are larger than the quoted ones.
    tilt : float
        Sign of the odd terms of the gain maps, so that the lines differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    protons = write_energies(folder, "proton")
    carbons = write_energies(folder, "carbon")
    source = "ends 22 and 7 mm [QA 3.A.2]"
    write_optics(folder / "proton_optics_0.csv", PROTON, protons, (22.0, 7.0), 0, source)
    larger = f", {carbon_larger_mm:g} mm more [ASSUMED: lines differ by less than 0.5 mm, QA 3.A.2]"
    settings = (("small", 0, (8.0, 4.0)), ("small", 2, (10.0, 5.0)), ("large", 0, (11.0, 8.0)))
    for focus, filters, ends in settings:
        source = f"ends {ends[0]:g} and {ends[1]:g} mm [QA 3.A.2]" + (larger if carbon_larger_mm else "")
        sizes = (ends[0] + carbon_larger_mm, ends[1] + carbon_larger_mm)
        write_optics(folder / f"carbon_optics_{focus}_{filters}.csv", CARBON, carbons, sizes, filters, source)
    write_gain_map(folder / "int1_gain.csv", (0.5 * tilt, -0.3, 0.25, -0.55, -0.4, 0.2 * tilt))
    write_gain_map(folder / "int2_gain.csv", (-0.35 * tilt, 0.45, -0.2, 0.3, -0.6, 0.1 * tilt))


def write_research(folder: Path) -> None:
    """Write what the research line has beyond the horizontal one."""
    source = "ends {:g} and {:g} mm [ASSUMED], {}"
    helium = write_research_energies(folder, HELIUM)
    between = "between those of protons and carbon ions"
    ends = (12.0, 6.0)
    path = folder / "helium_optics_0.csv"
    write_optics(path, HELIUM, helium, ends, 0, source.format(*ends, between))
    oxygen = write_research_energies(folder, OXYGEN)
    for filters, ends in ((0, (8.0, 4.0)), (2, (10.0, 5.0))):
        path = folder / f"oxygen_optics_small_{filters}.csv"
        write_optics(path, OXYGEN, oxygen, ends, filters, source.format(*ends, "those of carbon ions"))


def write_all(into: Path) -> None:
    """Write the tables of the shipped lines below a folder."""
    write_line(into / "cnao-h", carbon_larger_mm=0.0, tilt=1.0)
    write_line(into / "cnao-v", carbon_larger_mm=0.2, tilt=-1.0)
    write_line(into / "cnao-research", carbon_larger_mm=0.0, tilt=1.0)
    write_research(into / "cnao-research")


def main() -> None:
    """Run from the command line."""
    default = Path(__file__).resolve().parents[1] / "src" / "spotline" / "beamlines"
    parser = argparse.ArgumentParser(description="Write the CSV tables of the CNAO beam lines.")
    parser.add_argument("--into", type=Path, default=default, help="folder that holds the beam lines")
    write_all(parser.parse_args().into)


if __name__ == "__main__":
    main()
