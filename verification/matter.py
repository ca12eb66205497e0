"""Stopping power, range and straggling against published tables.

::

    python -m verification.matter --write docs/reference/verification-matter.md

The reference tables lie beside the repository.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from spotline.measurement import Limits
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import AIR, MATERIALS, NITROGEN, PMMA, WATER, Material
from spotline.physics.stopping import RangeEnergy, mass_stopping_power_MeV_cm2_per_g
from spotline.physics.straggling import range_straggling_g_cm2, straggling_variance_MeV2_cm2_per_g
from verification.figures import figure, judge, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.reference import read_reference

Columns = np.ndarray

BEAMS = ((PROTON, "p"), (HELIUM, "he"), (CARBON, "c"), (OXYGEN, "o"))
EXCITATION_eV = 78.0
HIGHEST_MeV_u = 450.0
INTERVALS_MeV_u = (
    (0.1, 0.5),
    (0.5, 1.0),
    (1.0, 5.0),
    (5.0, 10.0),
    (10.0, 50.0),
    (50.0, 150.0),
    (150.0, 450.0),
)
SOME_ENERGIES_MeV_u = (1.0, 5.0119, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0)
TARGET = 0.001
"""For ranges."""
WHERE = "-"
"""Where a table has no value."""


def water_table(letter: str) -> Columns:
    """Table of an ion in water, up to the highest energy of therapy."""
    read = read_reference(f"stopping_range_water_{letter}.csv")
    return read[read["E_MeV_u"] <= HIGHEST_MeV_u]


def stopping_deviation(ion: Ion, letter: str) -> Columns:
    """Relative deviation at all energies of the table."""
    read = water_table(letter)
    ours = mass_stopping_power_MeV_cm2_per_g(ion, read["E_MeV_u"], WATER, EXCITATION_eV)
    return np.asarray(ours / read["S_ref_MeVcm2_g"] - 1.0)


def range_deviation(ion: Ion, letter: str, column: str, excitation_eV: float) -> Columns:
    """Relative deviation at all energies of the table."""
    read = water_table(letter)
    ours = RangeEnergy(ion, WATER, excitation_eV).range_g_cm2(read["E_MeV_u"])
    return np.asarray(ours / read[column] - 1.0)


def largest(values: Columns, energies: Columns, interval: tuple[float, float]) -> str:
    """Largest absolute value in an interval, in percent with its sign."""
    inside = values[(energies >= interval[0]) & (energies <= interval[1])]
    if not inside.size:
        return WHERE
    return percent(float(inside[np.argmax(np.abs(inside))]), 3, sign=True)


def range_section() -> list[str]:
    """Ranges in water."""
    rows, verdicts = [], []
    for ion, letter in BEAMS:
        read = water_table(letter)
        energies = read["E_MeV_u"]
        deviation = range_deviation(ion, letter, "csda_ref_g_cm2", EXCITATION_eV)
        for energy in SOME_ENERGIES_MeV_u:
            found = np.flatnonzero(np.isclose(energies, energy))
            if found.size:
                i = int(found[0])
                off_um = deviation[i] * read["csda_ref_g_cm2"][i] * 1e4
                rows.append(
                    (
                        ion.name,
                        f"{energy:g}",
                        f"{read['csda_ref_g_cm2'][i]:.5g}",
                        percent(float(deviation[i]), 3, sign=True),
                        figure(off_um, "+.1f"),
                    )
                )
        beyond = energies[np.abs(deviation) > TARGET]
        met_from = energies[energies > beyond.max()].min() if beyond.size else energies.min()
        held = deviation[1::2][energies[1::2] >= 10.0]
        verdicts.append(
            (
                ion.name,
                percent(float(np.max(np.abs(deviation[energies >= 10.0]))), 3),
                percent(float(np.max(np.abs(held))), 3),
                f"{met_from:.4g} to {energies.max():g} MeV/u",
                judge(float(np.max(np.abs(deviation[energies >= 10.0]))), Limits(high=TARGET)),
            )
        )
    return [
        "## Ranges in water",
        fill(
            """Range in continuous slowing down against ICRU Report 90 (protons, helium, carbon) and, for
            oxygen, ICRU Report 73 with its errata of 2009, all with I = 78 eV. Target: 0.1 % from 10 MeV/u
            up. *Odd rows* are those of the tables that took no part in any fit."""
        ),
        table(("Ion", "largest from 10 MeV/u", "odd rows", "within 0.1 %", ""), verdicts),
        fill(
            """Oxygen misses below 140 MeV/u, where its range is 36 mm. ICRU Report 90 has no table of it, and
            that of ICRU 73 was made by another theory, which gives slow ions more stopping power: for carbon,
            where both exist, up to 6 % (next section). That makes all ranges of oxygen shorter by 0.02 to
            0.04 mm, whatever the energy. Which is right is open."""
        ),
        table(("Ion", "MeV/u", "table g/cm²", "deviation", "in µm of water"), rows),
    ]


def stopping_section() -> list[str]:
    """Stopping power of water."""
    rows = []
    for ion, letter in BEAMS:
        listed, deviation = water_table(letter)["E_MeV_u"], stopping_deviation(ion, letter)
        rows.append((ion.name, *(largest(deviation, listed, interval) for interval in INTERVALS_MeV_u)))
    read = water_table("c")
    editions = read["S_ICRU73_errata_I78"] / read["S_ref_MeVcm2_g"] - 1.0
    oxygen = water_table("o")
    energies = (1.0, 3.1623, 5.0119, 10.0, 20.0, 30.0, 50.0, 100.0)
    compared = []
    for energy in energies:
        i = int(np.flatnonzero(np.isclose(read["E_MeV_u"], energy))[0])
        j = int(np.flatnonzero(np.isclose(oxygen["E_MeV_u"], energy))[0])
        ours = mass_stopping_power_MeV_cm2_per_g(OXYGEN, energy, WATER, EXCITATION_eV)
        against = float(oxygen["S_ref_MeVcm2_g"][j] / ours - 1.0)
        compared.append(
            (f"{energy:g}", percent(float(editions[i]), 2, sign=True), percent(against, 2, sign=True))
        )
    heads = [f"{low:g}-{high:g}" for low, high in INTERVALS_MeV_u]
    return [
        "## Stopping power of water",
        "Largest deviation from the same tables in intervals of the energy (MeV/u).",
        table(("Ion", *heads), rows),
        fill(
            """Fitted were three numbers of the shell correction to the even rows for protons from 0.5 MeV on,
            and four of the effective charge to the even rows for helium and carbon up to 10 MeV/u
            (`python -m verification.stopping_fit`). Helium and carbon above 10 MeV/u and all of oxygen are
            predicted. The tables have four or five digits; four are good for 0.04 %."""
        ),
        fill(
            """ICRU 73 with errata against ICRU 90 for carbon, where both exist, and against Spotline for
            oxygen, where ICRU 90 has nothing:"""
        ),
        table(("MeV/u", "carbon: ICRU 73 - ICRU 90", "oxygen: ICRU 73 - Spotline"), compared),
    ]


def excitation_section() -> list[str]:
    """Ranges at another I."""
    rows = []
    for ion, letter in BEAMS:
        energies = water_table(letter)["E_MeV_u"]
        for column, excitation_eV in (("csda_I77_g_cm2", 77.0), ("csda_I77p5_g_cm2", 77.5)):
            deviation = range_deviation(ion, letter, column, excitation_eV)
            rows.append(
                (
                    ion.name,
                    f"{excitation_eV:g}",
                    largest(deviation, energies, (10.0, 140.0)),
                    largest(deviation, energies, (140.0, HIGHEST_MeV_u)),
                )
            )
    return [
        "## Another mean excitation energy",
        fill("""The tables at I = 78 eV, shifted by Bethe's logarithm, against ranges with that I."""),
        table(("Ion", "I in eV", "10-140 MeV/u", "140-450 MeV/u"), rows),
    ]


def matter_section() -> list[str]:
    """Other materials."""
    read = read_reference("stopping_gases_pmma.csv")
    energies = read["E_MeV_u"]
    intervals = ((10.0, 30.0), (30.0, 100.0), (100.0, HIGHEST_MeV_u))
    rows = []
    for ion, prefix in ((PROTON, "p"), (HELIUM, "He"), (CARBON, "C")):
        for material, suffix in ((NITROGEN, "N2"), (AIR, "air"), (PMMA, "PMMA")):
            column = read[f"{prefix}_{suffix}"]
            known = np.isfinite(column)
            ours = mass_stopping_power_MeV_cm2_per_g(ion, energies[known], material)
            deviation = ours / column[known] - 1.0
            rows.append(
                (
                    ion.name,
                    material.name,
                    *(largest(deviation, energies[known], limits) for limits in intervals),
                )
            )
    return [
        "## Gases and PMMA",
        fill(
            """Against PSTAR and ASTAR (protons, helium) and ICRU 73 of 2005 (carbon). No number was fitted to
            these. That carbon lies below its table by half a percent in gases and one percent in PMMA is a
            difference of the tables: in water, with its I of 67 eV, that edition was replaced."""
        ),
        table(("Ion", "material", *(f"{low:g}-{high:g} MeV/u" for low, high in intervals)), rows),
    ]


DEPTH_DOSES = (
    (PROTON, "matrad_proton_TOPAS_idd_metrics.csv"),
    (HELIUM, "matrad_helium_generic_idd_metrics.csv"),
    (CARBON, "matrad_carbon_generic_idd_metrics.csv"),
    (OXYGEN, "pyradplan_oxygen_generic_idd_metrics.csv"),
)


def depth_dose_section() -> list[str]:
    """Ranges against the depth doses of reference libraries, for several I."""
    rows, ratios = [], []
    for ion, name in DEPTH_DOSES:
        read = read_reference(name)
        read = read[read["energy_MeV_u"] <= HIGHEST_MeV_u]
        for excitation_eV in (75.0, 77.0, 77.5, 78.0, 79.5):
            csda_mm = RangeEnergy(ion, WATER, excitation_eV).range_mm(read["energy_MeV_u"])
            slope, offset_mm = np.polyfit(read["R80_mm"], csda_mm - read["R80_mm"], 1)
            rows.append(
                (
                    ion.name,
                    f"{excitation_eV:g}",
                    figure(offset_mm, "+.2f"),
                    percent(slope, 2, sign=True),
                    figure(offset_mm + slope * read["R80_mm"].max(), "+.2f"),
                )
            )
    read = read_reference(DEPTH_DOSES[0][1])
    sigma_mm = 10.0 * range_straggling_g_cm2(PROTON, read["energy_MeV_u"], WATER)
    ratio = (read["R20_mm"] - read["R80_mm"]) / sigma_mm
    for limits in ((40.0, 80.0), (80.0, 120.0), (120.0, 160.0), (160.0, 250.0)):
        inside = (read["energy_MeV_u"] >= limits[0]) & (read["energy_MeV_u"] < limits[1])
        ratios.append(
            (
                f"{limits[0]:g}-{limits[1]:g}",
                figure(ratio[inside].mean(), ".3f"),
                figure(ratio[inside].std(), ".3f"),
            )
        )
    return [
        "## Against depth doses",
        fill(
            """Range in continuous slowing down less R80 of reference depth doses in water (R80: distal
            depth of 80 % of the peak), as a straight line over R80. An offset at depth 0 is material that the
            reference has upstream; a slope tells of another I, and of the detour of scattered particles,
            0.1 % for protons. Carbon is consistent with 77.5 eV, protons of TOPAS with 77 eV, oxygen with
            79.5 eV and helium with 74.5 eV: what the codes behind them took, not what water has."""
        ),
        table(("Ion", "I in eV", "offset mm", "slope", "at the largest depth, mm"), rows),
        fill(
            """Distal fall-off from 80 % to 20 % of the monoenergetic protons of TOPAS over our range
            straggling. It should be one number at all energies; without the relativistic rise it would
            grow by 6 % more from 30 to 300 mm."""
        ),
        table(("MeV", "(R20 - R80) / sigma", "scatter"), ratios),
    ]


def straggling_section() -> list[str]:
    """Range straggling of monoenergetic ions."""
    rows = []
    for ion, _ in BEAMS:
        ranges = RangeEnergy(ion, WATER)
        for depth_mm in (30.0, 100.0, 200.0, 300.0):
            energy = ranges.energy_MeV_u(depth_mm)
            ours_mm = 10.0 * float(range_straggling_g_cm2(ion, energy, WATER))
            bohr_mm = 10.0 * without_relativity_g_cm2(ion, float(energy))
            root = math.sqrt(ion.mass_number)
            chu_mm = 0.12 * (depth_mm / 10.0) ** 0.951 / root
            bortfeld_mm = 0.12 * (depth_mm / 10.0) ** 0.935 / root
            rows.append(
                (
                    ion.name,
                    f"{depth_mm:g}",
                    figure(ours_mm, ".3f"),
                    figure(chu_mm, ".3f"),
                    percent(ours_mm / chu_mm - 1.0, 1, sign=True),
                    figure(bortfeld_mm, ".3f"),
                    figure(bohr_mm, ".3f"),
                    percent(bohr_mm / bortfeld_mm - 1.0, 1, sign=True),
                )
            )
    return [
        "## Range straggling",
        fill(
            """Standard deviation of the range in mm of water. *Chu*: 0.012 R^0.951 / A^0.5 cm, the common
            rule of Chu, Ludewigt and Renner (Rev. Sci. Instrum. 64 (1993) 2055; as others quote it).
            *Bortfeld*: 0.012 R^0.935
            (Med. Phys. 24 (1997) 2024, eq. 18), here over A^0.5 too; it is the integral of Bohr's variance
            without the relativistic rise, and *Bohr* is that integral made with our stopping power. Both
            rules are for protons, and scale them to heavier ions as if these had the same velocity at the
            same range: they have not, which shows in *Bohr*. That the transport reproduces the integral
            within 1 % is checked by `python -m verification.transport`."""
        ),
        table(("Ion", "range mm", "Spotline", "Chu", "off", "Bortfeld", "Bohr", "off Bortfeld"), rows),
    ]


def without_relativity_g_cm2(ion: Ion, energy_MeV_u: float) -> float:
    """Range straggling with the variance of slow ions at all energies, by the trapezoidal rule."""
    grid = np.geomspace(0.1, energy_MeV_u, 4000)
    slow = float(straggling_variance_MeV2_cm2_per_g(ion, 15.0, WATER))
    # Bohr's variance does not depend on the energy: take that of 15 MeV/u, where all ions are bare, without
    # the rise that is there already.
    gamma = ion.gamma(15.0)
    slow /= gamma**2 * (1.0 - 0.5 * ion.beta(15.0) ** 2)
    stopping = mass_stopping_power_MeV_cm2_per_g(ion, grid, WATER)
    return math.sqrt(np.trapezoid(slow / stopping**3, grid * ion.mass_number))


def relative_stopping(material: Material, ion: Ion, energy_MeV_u: float) -> float:
    """Stopping power per length over that of water."""
    there = mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, material) * material.density_g_cm3
    return float(there / mass_stopping_power_MeV_cm2_per_g(ion, energy_MeV_u, WATER))


def relative_section() -> list[str]:
    """Stopping power of all materials relative to water."""
    published = {"RW3": "1.048 (QA 2.B.1)", "titanium": "3.13 (QA, end of the CT curve)"}
    rows = [
        (
            material.name,
            f"{material.density_g_cm3:g}",
            figure(material.mean_excitation_eV, ".1f"),
            figure(material.radiation_length_g_cm2, ".2f"),
            figure(relative_stopping(material, PROTON, 150.0), ".4g"),
            figure(relative_stopping(material, CARBON, 280.0), ".4g"),
            published.get(material.name, WHERE),
        )
        for material in MATERIALS.values()
    ]
    return [
        "## Relative to water",
        fill(
            """Linear stopping power over that of water. RW3 **misses** the published figure by 2.5 %, and
            titanium by 4 %: by composition, RW3 would need 1.07 g/cm³, or an I lower by a fifth. For the
            range shifters of a beam line its own figure counts."""
        ),
        table(
            (
                "Material",
                "g/cm³",
                "I in eV",
                "X₀ in g/cm²",
                "protons 150 MeV",
                "carbon 280 MeV/u",
                "published",
            ),
            rows,
        ),
    ]


def page() -> list[str]:
    """Put the page together."""
    parts = [
        "# Verification of stopping power, range and straggling",
        fill(
            f"""How far the formulas of [ions in matter](../explanation/ions-in-matter.md) agree with tables.
            Made by `python -m verification.matter --write docs/reference/verification-matter.md` on
            {circumstances()}. QA: Mirandola et al., Med. Phys. 42 (2015), doi 10.1118/1.4928397."""
        ),
    ]
    sections = (
        range_section,
        stopping_section,
        excitation_section,
        matter_section,
        straggling_section,
        depth_dose_section,
        relative_section,
    )
    for section in sections:
        say(section.__doc__ or "")
        parts += section()
    return parts


def main(arguments: list[str]) -> int:
    """Compare, then print or write the page."""
    parser = page_parser("python -m verification.matter", (__doc__ or "").splitlines()[0])
    asked = parser.parse_args(arguments)
    put_page(page(), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
