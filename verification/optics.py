"""Hold scattering, spot sizes and particles per count against theory and published numbers.

    python -m verification.optics --write docs/reference/verification-optics.md

All of it is computed, not simulated; the picture goes to ``docs/images``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from spotline.arrays import Floats
from spotline.machine import BeamLine, load_beamline
from spotline.machine.optics import nozzle_layers, spot_sigma_mm, window_phase_space
from spotline.measurement import Limits
from spotline.physics.fermi_eyges import Layer, propagate
from spotline.physics.ionization import particles_per_count
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.moliere import hanson_angle_mrad
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.scattering import ROSSI_E_S_MeV, pv_MeV, scattering_length_g_cm2
from spotline.physics.stopping import RangeEnergy
from spotline.units import FWHM_PER_SIGMA
from verification.figures import figure, judge, table
from verification.page import circumstances, fill, page_parser, put_page
from verification.pictures import draw_spot_sizes

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PICTURE = "verification-spot-sizes.svg"
PENCIL = PhaseSpace(0.0, 0.0)

# Standard deviation (core) in mm at a depth in mm of water, from the base data of matRad and pyRadPlan
# (DKFZ): ion, energy in MeV/u, depth, size, set.
LATERAL = (
    (PROTON, 149.81, 156.25, 2.97, "protons_generic_TOPAS"),
    (PROTON, 150.35, 155.25, 3.53, "protons_Generic"),
    (PROTON, 199.49, 256.9, 5.76, "protons_Generic"),
    (HELIUM, 149.8, 154.0, 1.41, "helium_Generic"),
    (HELIUM, 200.7, 256.75, 2.93, "helium_Generic"),
    (CARBON, 150.71, 50.03, 0.280, "carbon_Generic"),
    (CARBON, 221.45, 100.1, 0.560, "carbon_Generic"),
    (CARBON, 279.97, 150.17, 0.831, "carbon_Generic"),
    (CARBON, 398.84, 270.34, 1.429, "carbon_Generic"),
)
TOLERANCE = 0.05

# Mirandola et al. (2015), abstract and 3.A.2: ion, focus, ripple filters, sizes at lowest and highest energy.
SETTINGS = (
    ("proton", "standard", (), (22.0, 7.0)),
    ("carbon", "small", (), (8.0, 4.0)),
    ("carbon", "small", ("RIFI1", "RIFI2"), (10.0, 5.0)),
    ("carbon", "large", (), (11.0, 8.0)),
)
PLANES_mm = (1113.0, 800.0, 350.0, 0.0, -500.0)

# Giordanengo et al. (2015), III.B.1, per 200 fC; the effective numbers are fitted to these four.
COUNTS = ((PROTON, 62.0, 7.2e3), (PROTON, 226.0, 1.9e4), (CARBON, 115.0, 341.0), (CARBON, 399.0, 767.0))
GAP_mm, UPSTREAM_mm, CARBON_GAIN = 5.53, 3.5, 0.937


Formula = tuple[Callable[[Floats, Floats, Floats], Floats], float]
"""Correction to Rossi's theory, of path in radiation lengths, pv and first pv; and its length in g/cm2."""


def spread_mm(ion: Ion, energy_MeV_u: float, depth_mm: float) -> float:
    """Standard deviation of a pencil beam at a depth in water."""
    return float(propagate(PENCIL, ion, energy_MeV_u, [Layer(WATER, depth_mm)]).phase_space.sigma_mm)


def theory_rows() -> Iterator[tuple[object, ...]]:
    """Angles behind slabs of water against the theory of Moliere."""
    for ion, energy in ((PROTON, 100.0), (PROTON, 200.0), (HELIUM, 150.0), (CARBON, 280.0), (OXYGEN, 350.0)):
        full_mm = float(RangeEnergy(ion, WATER, 78.0).range_mm(energy))
        cells: list[str] = []
        for share in (0.01, 0.1, 0.5, 0.9):
            slab = [Layer(WATER, share * full_mm)]
            angle = float(propagate(PENCIL, ion, energy, slab).phase_space.divergence_mrad)
            theory = hanson_angle_mrad(ion, energy, WATER, share * full_mm)
            cells.append(figure(angle, ".2f", more=f" ({100.0 * (angle / theory - 1.0):+.1f} %)"))
        yield (ion.name, f"{energy:g}", *cells)


def lateral_rows() -> Iterator[tuple[object, ...]]:
    """Spread in water against base data, and against the linear rule of Kanematsu at the end of the range."""
    for ion, energy, depth, reference, name in LATERAL:
        ours = spread_mm(ion, energy, depth)
        ratio = ours / reference - 1.0
        yield (
            ion.name,
            f"{energy:g}",
            f"{depth:g}",
            name,
            f"{reference}",
            figure(ours, ".2f"),
            figure(100 * ratio, "+.0f", "%"),
            judge(ratio, Limits.within(TOLERANCE)),
        )


def other_rows() -> Iterator[tuple[object, ...]]:
    """Spread of carbon by other published formulas, over the reference."""

    def highland(constant_MeV: float, slope: float) -> Formula:
        def correction(path: Floats, pv: Floats, first_pv: Floats) -> Floats:
            del pv, first_pv
            grown = 1.0 + slope * np.log(path)
            return (constant_MeV / ROSSI_E_S_MeV) ** 2 * grown * (grown + 2.0 * slope)

        return correction, WATER.radiation_length_g_cm2

    def moliere_of_protons(path: Floats, pv: Floats, first_pv: Floats) -> Floats:
        del path
        lost, size = np.log10(1.0 - (pv / first_pv) ** 2), np.log10(pv)
        return 0.5244 + 0.1975 * lost + 0.2320 * size - 0.0098 * lost * size

    def none(path: Floats, pv: Floats, first_pv: Floats) -> Floats:
        del pv, first_pv
        return np.ones_like(path)

    formulas: dict[str, Formula] = {
        "Highland 1975 (14.1 MeV, lg/9), used here": highland(14.1, 1.0 / (9.0 * np.log(10.0))),
        "Lynch and Dahl 1991 (13.6 MeV, 0.038)": highland(13.6, 0.038),
        "Rossi with the scattering length": (none, scattering_length_g_cm2(WATER)),
        "Gottschalk 2010, made for protons": (moliere_of_protons, scattering_length_g_cm2(WATER)),
    }
    cases = [case for case in LATERAL if case[0] is CARBON]
    for name, formula in formulas.items():
        ratios = [_summed_mm(formula, energy, depth) / reference for _, energy, depth, reference, _ in cases]
        yield name, *(figure(ratio, ".2f") for ratio in ratios)


def _summed_mm(formula: Formula, energy_MeV_u: float, depth_mm: float) -> float:
    """Spread of carbon in water by a plain sum over a formula's scattering power."""
    correction, length_g_cm2 = formula
    ranges = RangeEnergy(CARBON, WATER, 78.0)
    full_mm = float(ranges.range_mm(energy_MeV_u))
    at_mm = (np.arange(20000) + 0.5) * depth_mm / 20000
    pv = pv_MeV(CARBON, ranges.energy_MeV_u(full_mm - at_mm))
    path = at_mm / 10.0 / WATER.radiation_length_g_cm2
    factor = correction(path, pv, pv_MeV(CARBON, energy_MeV_u))
    power_per_mm = factor * (CARBON.charge_number * ROSSI_E_S_MeV / pv) ** 2 / length_g_cm2 / 10.0
    return float(np.sqrt(np.mean(power_per_mm * (depth_mm - at_mm) ** 2) * depth_mm))


def end_rows() -> Iterator[tuple[object, ...]]:
    """Spread where the ions stop, against the rule that holds measurements."""
    for ion, energy in ((PROTON, 70.0), (PROTON, 150.0), (PROTON, 230.0), (HELIUM, 150.0), (CARBON, 150.0),
                        (CARBON, 280.0), (CARBON, 400.0), (OXYGEN, 350.0)):  # fmt: skip
        full_mm = float(RangeEnergy(ion, WATER, 78.0).range_mm(energy))
        ours = spread_mm(ion, energy, 0.998 * full_mm)
        rule = 0.0224 * ion.charge_number**-0.08 * ion.mass_number**-0.46 * full_mm
        yield (
            ion.name,
            f"{energy:g}",
            figure(full_mm, ".1f"),
            figure(ours, ".2f"),
            figure(rule, ".2f"),
            figure(100.0 * (ours / rule - 1.0), "+.1f", "%"),
        )


def spot_rows(line: BeamLine) -> Iterator[tuple[object, ...]]:
    """Sizes of the spots along the beam for all settings."""
    for ion, focus, filters, ends in SETTINGS:
        for place, energy in zip((0, 1), line.energies[ion].energy_MeV_u[[0, -1]], strict=True):
            beam = line.beam(ion)
            assert beam is not None
            scattered = propagate(PENCIL, beam.ion, energy, nozzle_layers(line, filters)).phase_space
            sizes = [
                FWHM_PER_SIGMA
                * spot_sigma_mm(
                    line, ion, energy, focus=focus, passive_elements=filters, to_isocentre_mm=plane
                )[0]
                for plane in PLANES_mm
            ]
            tabulated = line.spot_size(ion, float(energy), focus, len(filters))
            assert tabulated is not None
            yield (
                ion,
                focus,
                f"{len(filters)}",
                f"{energy:.2f}",
                f"{ends[place]:g}",
                figure(FWHM_PER_SIGMA * float(scattered.sigma_mm), ".2f"),
                *(figure(float(size), ".2f") for size in sizes),
                figure(tabulated.fwhm_box_x_mm, ".2f"),
            )


def filter_rows(line: BeamLine) -> Iterator[tuple[object, ...]]:
    """What two ripple filters make of the spots without, if the optics stay as they are."""
    for energy, without, published in zip(
        line.energies["carbon"].energy_MeV_u[[0, -1]], (8.0, 4.0), (10.0, 5.0), strict=True
    ):
        start = window_phase_space(line, "carbon", energy, "x", focus="small")
        behind = propagate(start, CARBON, energy, nozzle_layers(line, ("RIFI1", "RIFI2"))).phase_space
        found = FWHM_PER_SIGMA * float(behind.sigma_mm)
        share = (found - without) / (published - without)
        yield (
            f"{energy:.2f}",
            f"{without:g}",
            figure(found, ".2f"),
            f"{published:g}",
            figure(100.0 * share, ".0f", "%"),
        )


def count_rows() -> Iterator[tuple[object, ...]]:
    """Particles per count from first principles, and with the effective numbers."""
    for ion, energy, published in COUNTS:
        plain, effective = (
            float(
                particles_per_count(ion, energy, charge_quantum_C=200e-15, gap_mm=gap, upstream_mm=upstream)
            )
            for gap, upstream in (
                (GAP_mm, 0.0),
                (GAP_mm * (CARBON_GAIN if ion is CARBON else 1.0), UPSTREAM_mm),
            )
        )
        yield (
            ion.name,
            f"{energy:g}",
            f"{published:g}",
            figure(plain, ".0f", more=f" ({100.0 * (plain / published - 1.0):+.1f} %)"),
            figure(effective, ".0f", more=f" ({100.0 * (effective / published - 1.0):+.2f} %)"),
        )


def page(line: BeamLine) -> list[str]:
    """The page of the results."""
    planes = [f"{plane:g}" for plane in PLANES_mm]
    return [
        "# Verification: scattering, spot sizes, particles per count",
        fill(
            "How far multiple scattering agrees with theory and with other calculations in water, "
            "which spots the nozzle of cnao-h makes in air, and how many particles make a count. "
            "Nothing here is fitted to what it is compared with, except where it is said. What the "
            "quantities are, and why the formulas were taken: [The beam in air and "
            "water](../explanation/optics.md)."
        ),
        "## Angles behind slabs of water",
        fill(
            "Standard deviation of the projected angle in mrad behind a part of the range, from the "
            "scattering power (protons: Gottschalk; ions: Kanematsu), and how far it is from "
            "Moliere's theory with Hanson's width and Fano's electrons, which treats nuclei as "
            "points."
        ),
        table(("ion", "MeV/u", "1 % of the range", "10 %", "50 %", "90 %"), theory_rows()),
        fill(
            "For protons the difference is that of Gottschalk's fit, as published (up to 2.5 %). "
            "Highland's formula for ions is too small in thin layers, where it matters little, and "
            "right within 4 % where most is scattered."
        ),
        "## Spread in water where the ions stop",
        fill(
            "Standard deviation in mm, and the rule 0.0224 z^-0.08 A^-0.46 R of Kanematsu (Phys. Med."
            " Biol. 54 (2009) N67). Its author made it equivalent to his extension of the formula of "
            "Highland, which is used here for ions, and found measurements within 2 % or 0.2 mm of "
            "it. For protons that is a check; for carbon and oxygen 0.2 mm is a fifth of the spread, "
            "so it checks the integration only."
        ),
        table(("ion", "MeV/u", "range mm", "here mm", "rule mm", "difference"), end_rows()),
        "## Spread in water against other calculations",
        fill(
            "Standard deviation of the core of a pencil beam near the peak, against base data of "
            f"matRad and pyRadPlan (DKFZ). Aimed at: {100.0 * TOLERANCE:g} %."
        ),
        table(
            ("ion", "MeV/u", "depth mm", "set", "reference mm", "here mm", "difference", "verdict"),
            lateral_rows(),
        ),
        fill(
            "**The aim is met in three of nine cases.** The references are not of one mind: two sets "
            "of protons, both from TOPAS, differ by 19 % at one energy, with our figure between them."
            " The helium set becomes too narrow at low energies, as if too large an initial width had"
            " been taken away: its spread over its range falls from 1.14 % at 200 MeV/u to 0.58 % at "
            "88, where that of every theory hardly changes. The carbon set is a smooth curve that "
            "ours exceeds by 3 % at 150 MeV/u and by 18 % at 400. Other published formulas, over this"
            " set:"
        ),
        table(("formula", *(f"{case[1]:g} MeV/u" for case in LATERAL if case[0] is CARBON)), other_rows()),
        fill(
            "Every one is wider than this set. Rossi's, which does not grow along the path, has "
            "nearly its trend: with a factor of 0.90 on the width, fitted to the set, it would agree "
            "within 3 %. No factor was introduced. It would hold one set, whose making is not "
            "documented, against the theory of Moliere, with which the formula used here agrees "
            "within 4 % where most is scattered (first table). Behind 15 cm of water, where a spot of"
            " 5 mm (full width at half maximum) has widened to 5.4 mm, the choice between the two is "
            "0.1 mm."
        ),
        "## Spot sizes in air",
        fill(
            "Full width at half maximum in mm on cnao-h. Published are the sizes at the isocentre at "
            "the lowest and the highest energy, and the beam at the vacuum window is computed from "
            "them: these two columns agree by construction. The share of scattering in the nozzle, "
            "and the sizes elsewhere (distance from the isocentre in mm, upstream positive), are "
            "predictions; measured ones are not published. The last column is what the tables of the "
            "line say of the boxes."
        ),
        table(
            (
                *("ion", "focus", "filters", "MeV/u", "published", "scattering alone"),
                *planes,
                "boxes, table",
            ),
            spot_rows(line),
        ),
        f"![Spot size along the beam for some energies](../images/{PICTURE})",
        fill(
            "The tables of the line made their column for the boxes in an older and simpler way: they"
            " take the scattering in chambers and air away from the size at the isocentre, and know "
            "neither the window nor that what it scatters spreads on its way. With a window of 1.4 mm"
            " of water the spots of slow protons are 8.6 mm (two fifths) smaller at the boxes than "
            "the tables say, those of carbon up to 1.8 mm; at the highest energy it is 1.8 mm for "
            "protons and 0.2 mm for carbon. The thickness of the window is inferred, so neither is "
            "certain."
        ),
        "### Two ripple filters",
        table(
            ("MeV/u", "without mm", "with, computed mm", "with, published mm", "explained"), filter_rows(line)
        ),
        fill(
            "Scattering in two filters of 1 mm of water each explains half of what the spots grow at "
            "the lowest energy, and a fifth at the highest. (The theory of Moliere has some 10 % more"
            " scattering in layers as thin as these, which does not change that.) The rest must come "
            "from other optics, or from more matter in the filters than their mean thickness; the "
            "published sizes are kept as they are."
        ),
        "## Particles per count of 200 fC",
        fill(
            "From the stopping power in nitrogen at 20 C and 101 325 Pa, W = 36.5 eV and a gap of "
            f"{GAP_mm} mm: first with the nominal energy, then with the energy behind {UPSTREAM_mm} mm"
            f" of water and {CARBON_GAIN} for the charge that carbon gives. Gap, thickness and factor "
            "are fitted to the four published numbers, so this shows that three effective numbers "
            "hold four, within the 1 % aimed at, not that they are those of the machine."
        ),
        table(("ion", "MeV/u", "published", "nominal energy", "with the effective numbers"), count_rows()),
        f"<sub>`python -m verification.optics`; {circumstances()}</sub>",
    ]


def draw(line: BeamLine) -> None:
    """Draw the sizes of spots over distance."""
    planes = np.arange(-500.0, 1114.0, 10.0)
    panels = {}
    for title, ion, focus, energies in (
        ("protons", "proton", "standard", (62.73, 100.52, 148.27, 228.57)),
        ("carbon, small focus, no ripple filter", "carbon", "small", (115.23, 221.45, 398.84)),
    ):
        curves = {}
        for energy in energies:
            sizes = [
                FWHM_PER_SIGMA
                * float(spot_sigma_mm(line, ion, energy, focus=focus, to_isocentre_mm=plane)[0])
                for plane in planes
            ]
            curves[f"{energy:g} MeV/u"] = np.array(sizes)
        panels[title] = curves
    draw_spot_sizes(IMAGES / PICTURE, planes, panels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute, and print or write the page."""
    parser = page_parser("python -m verification.optics", __doc__.splitlines()[0])
    asked = parser.parse_args(arguments)
    line = load_beamline("cnao-h")
    if asked.write is not None:
        draw(line)
    put_page(page(line), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
