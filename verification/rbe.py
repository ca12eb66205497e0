"""Models of RBE: spectra against what was scored, tracks against published figures and another code.

::

    python -m verification.rbe --write docs/reference/verification-rbe.md --picture docs/images/rbe-let.svg

The comparison with pyMKM is made if that package is installed; it is none of Spotline's.
"""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Drawing
from scipy.optimize import brentq

from spotline.arrays import Floats
from spotline.dose.rbe import Mkm, RbeModel, Tissue
from spotline.dose.rbe.mkm import low_let_mkm
from spotline.dose.rbe.simple import LetdModel, carabe, mcnamara, wedenberg
from spotline.dose.rbe.spectrum import NUCLIDES, dose_weighted, of_primaries, of_secondaries
from spotline.dose.rbe.track import specific_energy_Gy
from spotline.machine import load_beamline
from spotline.machine.library import Entry, load_library
from spotline.machine.library.build import Run, simulate_entry
from spotline.machine.library.letd import LETD_GROUPS
from spotline.machine.library.modifiers import ripple_filter
from spotline.physics.ions import CARBON, HELIUM, IONS, OXYGEN, PROTON, Ion
from spotline.physics.let import let_keV_um
from spotline.physics.materials import WATER
from spotline.physics.stopping import HIGHEST_ENERGY_MeV_u, LOWEST_ENERGY_MeV_u, RangeEnergy
from spotline.physics.transport.geometry import water
from spotline.physics.transport.history import Steps
from spotline.physics.transport.run import TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from verification.figures import Figure, figure, number, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.pictures import COLOURS, STYLE, plain_ticks, save

HSG = Mkm()
HSG_2018 = Mkm(0.150, 0.0593, 0.29, 3.9)
"""Inaniwa and Kanematsu, Phys. Med. Biol. 63 (2018) 095011."""

BEAMS = (
    (PROTON, 62.73, 20_000),
    (PROTON, 148.8, 15_000),
    (HELIUM, 150.0, 12_000),
    (CARBON, 115.23, 8_000),
    (CARBON, 280.0, 8_000),
    (CARBON, 398.84, 6_000),
    (OXYGEN, 300.0, 6_000),
)
SHIPPED = (("proton", 62.73), ("proton", 148.79), ("helium", 150.0), ("carbon", 279.97), ("oxygen", 300.0))
"""Of the shipped libraries, with ten times as many primaries."""
SPREAD_percent = 0.1
DEPTH_PRIMARIES = 100_000
FLUENCES = (
    (PROTON, 62.73, 20_000, False),
    (PROTON, 148.8, 20_000, False),
    (PROTON, 148.8, 10_000, True),
    (CARBON, 280.0, 4_000, False),
)
FLUENCE_PLACES = (0.02, 0.1, 0.5, 0.9, 0.98, 1.0)
PLACES = (0.1, 0.5, 0.9, 0.98, 1.0, 1.02, 1.2)
"""Depths, as parts of the range."""
WINDOW = 0.03
"""Means are over so much of the range on both sides before 0.95 of it and behind 1.1."""

# Read off the figures of the publications, to some percent.
SINGLE_EVENTS_Gy = {1: 0.49, 2: 2.01, 3: 4.25, 4: 7.9, 5: 11.7, 6: 17.5}
SURVIVAL = (
    (22.5, 1.9115, 0.24598),
    (22.5, 3.6637, 0.049417),
    (22.5, 5.7146, 0.0048182),
    (333.0, 2.1302, 0.077319),
    (333.0, 3.9501, 0.0057211),
    (333.0, 5.8112, 0.00026252),
)
ENERGIES_MeV_u = (0.3, 1.0, 3.0, 10.0, 50.0, 200.0, 400.0)


def let_of(charge_number: int, energy_MeV_u: Floats) -> Floats:
    """LET as a quantity to average."""
    energy = np.clip(energy_MeV_u, LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u)
    return let_keV_um(NUCLIDES[charge_number - 1], energy)[:, None]


def energy_of(ion: Ion, let: float) -> float:
    """Energy above that of the largest LET."""
    return float(brentq(lambda energy: float(let_keV_um(ion, energy)) - let, 1.5, 599.0))


def dose_for(survival: float, alpha_per_Gy: float, beta_per_Gy2: float) -> float:
    """Dose that leaves a part of the cells alive."""
    root = math.sqrt(alpha_per_Gy**2 - 4.0 * beta_per_Gy2 * math.log(survival))
    return (root - alpha_per_Gy) / (2.0 * beta_per_Gy2)


def at_place(depth_mm: Floats, values: Floats, dose: Floats, range_mm: float, place: float) -> float:
    """Value at a part of the range, a mean weighted with dose where it changes slowly."""
    if 0.95 < place < 1.1:
        return float(np.interp(place * range_mm, depth_mm, values))
    near = np.abs(depth_mm / range_mm - place) < WINDOW
    return float(np.average(values[near], weights=dose[near]))


def spectrum_section() -> list[str]:
    """LETd from spectra against LETd as scored."""
    rows, sums = [], []
    for ion, energy, primaries in BEAMS:
        say(f"{ion.name} of {energy:g} MeV/u")
        simulated = simulate_entry(
            ion, energy, momentum_spread_percent=SPREAD_percent, primaries=primaries, seed=3, run=Run(1)
        ).entry
        behind = simulated.with_thickness(ripple_filter(1.0)) if ion is CARBON and energy < 200.0 else None
        for entry, name in ((simulated, ""), (behind, ", ripple filter")):
            if entry is not None:
                compared, summary = compare_let(entry, f"{ion.name} {energy:g}{name}")
                rows.append(compared)
                sums.append(summary)
    line = load_beamline("cnao-research")
    for name, energy in SHIPPED:
        compared, summary = compare_let(load_library(line, name).entry(energy), f"{name} {energy:g}, shipped")
        rows.append(compared)
        sums.append(summary)
    return [
        "## Spectra against what was scored",
        fill(
            """Fluence times stopping power is the dose of all charged particles (ICRU Report 85, absorbed
            dose and cema): at single depths, what was scored of dose and LETd and what comes back from the
            fluence of the same particles in fine bins of energy. Scoring takes the LET of a step as a whole,
            fluence is shared out along the step; with steps a fifth as long that end at 1 um (*short*) it is
            the same. *From 1 MeV/u* and *from E / 100*: LETd from the fluence if slower particles are left
            out, the second as in version 1 of the library. Both columns are low by a tenth to a third for
            protons before the peak: spectra must reach down to 0.1 MeV/u, where they end now, and what is
            slower counts in the lowest bin."""
        ),
        fluence_table(),
        fill(
            """The library keeps LETd at some 290 depths as the simulation scored it step by step, and spectra
            at 20 depths. The models of ions average over the spectra; if LET itself is averaged in the same
            way, the scored LETd must come back. In keV/um, *scored / from spectra*, at depths in parts of the
            range; short simulations, of which rare slow fragments make the LETd of light ions uncertain by
            some percent, and that of protons in the plateau by some ten."""
        ),
        table(("Beam (MeV/u)", *(f"{place:g}" for place in PLACES)), rows),
        fill(
            """Deviation of LETd from the spectra, as the mean of its absolute value weighted with dose, and
            with its sign; and how much of the dose comes back. What does not was left on the spot by
            reactions, mostly, and counts as the mean of the rest; above 100 % the normal distribution of
            range makes the peak 2 % too high."""
        ),
        table(("Beam (MeV/u)", "absolute", "with sign", "dose that comes back"), sums),
        fill(
            """Behind the peak of protons what is left comes from rare reactions of neutrons; spectra that
            were scored in one thin layer have much noise there, and next to no dose."""
        ),
    ]


def fluence_table() -> str:
    """Dose and LETd from fluence against what was scored, at single depths."""
    rows = []
    for ion, energy, primaries, short in FLUENCES:
        say(f"fluence of {ion.name} of {energy:g} MeV/u{', short steps' if short else ''}")
        range_mm = float(RangeEnergy(ion, WATER).range_mm(energy))
        middle = np.array(FLUENCE_PLACES) * range_mm
        half = 0.008 * range_mm
        layers = np.column_stack([middle - half, middle + half])
        edges = np.geomspace(LOWEST_ENERGY_MeV_u, 2.2 * energy, 400)
        tally = simulate(
            pencil_source(ion, energy),
            water(1.5 * range_mm),
            TallyPlan(layers.ravel(), layer_mm=layers, spectrum_MeV_u=edges),
            primaries=primaries,
            seed=3,
            threads=1,
            physics=TransportPhysics(
                Steps(share=0.02, smallest_g_cm2=1e-4, end_g_cm2=1e-4) if short else Steps()
            ),
        )
        energy_MeV = tally.energy_MeV[:9, ::2]
        scored = energy_MeV.sum(axis=0), tally.let_MeV_keV_um[:9, ::2].sum(axis=0)
        sums = np.array([fluence_sums(ion, edges, tally.fluence, cut) for cut in (0.0, 1.0, 0.01 * energy)])
        sums *= 2.0 * half
        for k, place in enumerate(FLUENCE_PLACES):
            letd = scored[1][k] / scored[0][k]
            found = sums[:, k, 1] / sums[:, k, 0]
            rows.append(
                (
                    f"{ion.name} {energy:g}{', short' if short else ''}",
                    f"{place:g}",
                    percent(sums[0, k, 0] / scored[0][k] - 1.0, 2, sign=True),
                    figure(letd, ".3g"),
                    figure(found[0], ".3g"),
                    percent(found[0] / letd - 1.0, sign=True),
                    figure(found[1], ".3g"),
                    figure(found[2], ".3g"),
                )
            )
    header = (
        "Beam (MeV/u)",
        "depth / range",
        "dose",
        "LETd scored (keV/um)",
        "from fluence (keV/um)",
        "off",
        "from 1 MeV/u (keV/um)",
        "from E / 100 (keV/um)",
    )
    return table(header, rows)


def fluence_sums(ion: Ion, edges: Floats, fluence: Floats, cut_MeV_u: float) -> Floats:
    """Fluence times LET and times its square, in all groups from an energy on; shape (layers, 2)."""
    sums = np.zeros((len(fluence), 2))
    for group in range(9):
        nuclide = ion if group == 0 else NUCLIDES[group - 1]
        ranges = RangeEnergy(nuclide, WATER).range_mm(np.minimum(edges, HIGHEST_ENERGY_MeV_u))
        let = nuclide.mass_number * np.diff(edges) / np.maximum(np.diff(ranges), 1e-9)
        beyond = edges[1:] > HIGHEST_ENERGY_MeV_u
        let[beyond] = let_keV_um(nuclide, np.array([HIGHEST_ENERGY_MeV_u]))
        let[0] = nuclide.mass_number * edges[1] / ranges[1]  # the first bin holds all that are slower too
        seen = fluence[:, group] * (edges[1:] > cut_MeV_u)
        sums += np.column_stack([seen @ let, seen @ let**2])
    return sums


def compare_let(entry: Entry, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows of both tables of an entry."""
    depth, dose = entry.depth_mm, entry.field_MeV_cm2_g
    scored, found = entry.letd(depth, "charged"), dose_weighted(entry, let_of)(depth)[:, 0]
    cells = [
        _pair(*(at_place(depth, letd, dose, entry.range_mm, place) for letd in (scored, found)))
        for place in PLACES
    ]
    weight = dose * np.gradient(depth)
    off = found / np.where(scored > 0.0, scored, found) - 1.0
    inside = of_primaries(entry, depth, let_of)[:, 0] + of_secondaries(entry, depth, let_of)[:, 0]
    share = float((10.0 * inside * np.gradient(depth)).sum() / weight.sum())
    summary = (
        name,
        percent(float(np.average(np.abs(off), weights=weight))),
        percent(float(np.average(off, weights=weight)), sign=True),
        percent(share),
    )
    return (name, *cells), summary


def _pair(scored: float, found: float) -> Figure:
    return Figure(f"{scored:.3g} / {found:.3g}", found, "keV/um", reference=scored)


def published_section() -> list[str]:
    """Single events and survival against published figures."""
    events = []
    for charge_number, published in SINGLE_EVENTS_Gy.items():
        nuclide = NUCLIDES[charge_number - 1]
        z = float(specific_energy_Gy(nuclide, 50.0, HSG.domain_radius_um, np.array([0.1]))[0])
        saturated = HSG.saturation_Gy**2 / z * -math.expm1(-((z / HSG.saturation_Gy) ** 2))
        events.append(
            (
                nuclide.symbol,
                f"{published:g}",
                figure(saturated, ".2f"),
                percent(saturated / published - 1.0, sign=True),
            )
        )
    survival = []
    for let, dose, alive in SURVIVAL:
        alpha = float(HSG_2018.alpha_per_Gy(6, np.array([energy_of(CARBON, let)]))[0])
        effect = alpha * dose + HSG_2018.beta_per_Gy2 * dose**2
        published = -math.log(alive)
        survival.append(
            (
                f"{let:g}",
                f"{dose:.2f}",
                figure(published, ".2f"),
                figure(effect, ".2f"),
                percent(effect / published - 1.0, sign=True),
            )
        )
    return [
        "## Against published figures of the same model",
        fill(
            """Dose that one ion of 50 MeV/u leaves in a domain of 0.32 um when it passes near its middle,
            saturated (a nucleus of 3.9 um, beta 0.0615 /Gy²): Inaniwa et al., Phys. Med. Biol. 55 (2010)
            6721, read off a figure over six decades to some percent."""
        ),
        table(("Ion", "published Gy", "Spotline Gy", "off"), events),
        fill(
            """Effect, -ln S, of carbon on HSG cells with the parameters of Inaniwa and Kanematsu, Phys. Med.
            Biol. 63 (2018) 095011, against survival read off their curves of the same model."""
        ),
        table(("keV/um", "Gy", "published", "Spotline", "off"), survival),
    ]


def peer_section() -> list[str]:
    """The table of saturated specific energy against pyMKM."""
    try:
        track: Any = importlib.import_module("pymkm.physics.particle_track")
        specific: Any = importlib.import_module("pymkm.physics.specific_energy")
    except ImportError:
        say("pyMKM is not installed: its section is left out")
        return []
    rows, worst = [], 0.0
    for ion in IONS.values():
        off = []
        for energy in ENERGIES_MeV_u:
            say(f"pyMKM: {ion.name} of {energy:g} MeV/u")
            let_MeV_cm = 10.0 * float(let_keV_um(ion, energy))
            path = track.ParticleTrack(energy=energy, atomic_number=ion.charge_number, let=let_MeV_cm)
            domain = specific.SpecificEnergy(path, HSG.domain_radius_um)
            z, impact = domain.single_event_specific_energy(base_points_b=400, base_points_r=400)
            saturated = domain.saturation_corrected_single_event_specific_energy(HSG.saturation_Gy, z)
            theirs = domain.dose_averaged_specific_energy(z, impact, saturated, integration_method="simps")
            ours = float(HSG.specific_energy_Gy(ion.charge_number, np.array([energy]))[0])
            off.append(ours / theirs - 1.0)
        worst = max(worst, *map(abs, off))
        rows.append((ion.name, *(percent(value, 2, sign=True) for value in off)))
    return [
        "## Against pyMKM",
        fill(
            f"""Deviation of our saturated specific energy z* from that of pyMKM 1.0 (same track structure,
            given our LET), for a domain of 0.32 um. Largest: {percent(worst, 1)}. Our integral over impact
            parameters holds the LET within 0.01 %."""
        ),
        table(("Ion", *(f"{energy:g} MeV/u" for energy in ENERGIES_MeV_u)), rows),
    ]


def rbe_section() -> list[str]:
    """RBE at 10 % survival by LET, and RBE of protons by model."""
    photons = dose_for(0.1, HSG.photon_alpha_per_Gy, HSG.photon_beta_per_Gy2)
    rows = []
    for let in (13.0, 20.0, 40.0, 75.0, 100.0, 150.0, 200.0, 400.0):
        alpha = float(HSG.alpha_per_Gy(6, np.array([energy_of(CARBON, let)]))[0])
        rows.append(
            (
                f"{let:g}",
                figure(alpha, ".2f"),
                figure(photons / dose_for(0.1, alpha, HSG.beta_per_Gy2), ".2f"),
            )
        )
    models = (wedenberg(Tissue(2.0)), mcnamara(Tissue(2.0)), carabe(Tissue(2.0)))
    protons = [
        (f"{let:g}", *(number(rbe_of_letd(model, 2.0, let), 3) for model in models))
        for let in (1.0, 2.5, 5.0, 10.0)
    ]
    return [
        "## RBE by LET",
        fill(
            f"""Carbon on HSG cells: RBE at 10 % survival, where X-rays need {photons:.2f} Gy. Ions of one
            LET, without the fragments and the spread of a real beam."""
        ),
        table(("keV/um", "alpha /Gy", "RBE10"), rows),
        fill("Protons, 2 Gy, alpha/beta 2 Gy, by dose-averaged LET."),
        table(("keV/um", *(model.name for model in models)), protons),
        *proton_depths(),
    ]


def proton_depths() -> list[str]:
    """RBE of a proton beam over depth: the model of ions, and those of protons for the same tissue."""
    say("RBE of protons over depth")
    entry = simulate_entry(
        PROTON, 148.8, momentum_spread_percent=SPREAD_percent, primaries=DEPTH_PRIMARIES, seed=4, run=Run(1)
    ).entry
    places = np.array([0.02, 0.3, 0.6, 0.9, 0.97, 1.0, 1.01])
    depth = places * entry.range_mm
    dose = np.full(len(depth), 2.0)
    tissue = HSG.tissue
    own = low_let_mkm()
    models: list[RbeModel] = [make(tissue) for make in (wedenberg, mcnamara, carabe)]
    own_models: list[RbeModel] = [own, *(make(own.tissue) for make in (wedenberg, mcnamara, carabe))]
    columns = [
        model.effective_dose(dose, dose[:, None] * model.quantities(entry)(depth)) / 2.0
        for model in (*models, *own_models)
    ]
    letd = [entry.letd(depth, group) for group in LETD_GROUPS]
    rows = [
        (
            f"{place:g}",
            *(figure(column[k], ".2f") for column in letd),
            *(figure(column[k], ".3f") for column in columns),
        )
        for k, place in enumerate(places)
    ]
    off = [float(np.abs(columns[3] - column).max()) for column in columns[4:]]
    return [
        "### Protons over depth",
        fill(
            f"""LETd in keV/um of primaries, of all hydrogen and of all charged particles, and RBE at 2 Gy of
            a beam of {entry.energy_MeV_u:g} MeV, by depth in parts of the range. First by LETd of hydrogen
            against the X-rays of HSG cells (alpha/beta {tissue.alpha_beta_Gy:.1f} Gy); then against photons
            with the alpha of the model of ions in the limit of small LET (alpha/beta
            {own.tissue.alpha_beta_Gy:.1f} Gy), so that it is the growth with LET that is compared."""
        ),
        table(
            (
                "depth",
                *(f"LETd, {group}" for group in LETD_GROUPS),
                *(f"{model.name}, {tissue.alpha_beta_Gy:.1f} Gy" for model in models),
                *(f"{model.name}, {own.tissue.alpha_beta_Gy:.1f} Gy" for model in own_models),
            ),
            rows,
        ),
        fill(
            f"""Against X-rays the model of ions would have fast protons at 0.8, where ICRU Report 78 (2007)
            recommends 1.1: its alpha goes to alpha_0, which is 0.55 of the alpha of X-rays and of another
            source. So `mkm` refuses protons. Against photons of alpha_0 it grows with LET as the published
            models of protons do: at most {figure(off[0], ".3f")} off that of Wedenberg,
            {figure(off[1], ".3f")} off McNamara and {figure(off[2], ".3f")} off Carabe. It averages over
            spectra, recoils of helium among them, while the others see LETd of hydrogen."""
        ),
    ]


def rbe_of_letd(model: LetdModel, dose_Gy: float, letd_keV_um: float) -> float:
    """RBE of protons at a dose."""
    dose = np.array([dose_Gy])
    return (
        float(model.effective_dose(dose, dose[:, None] * model.coefficients(np.array([letd_keV_um])))[0])
        / dose_Gy
    )


def draw(path: Path) -> None:
    """Draw alpha and RBE at 10 % survival against LET."""
    photons = dose_for(0.1, HSG.photon_alpha_per_Gy, HSG.photon_beta_per_Gy2)
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(6.8, 3.2), layout="constrained")
        left, right = drawing.subplots(1, 2)
        for ion, colour in zip(IONS.values(), COLOURS, strict=True):
            energy = np.geomspace(0.5, 450.0, 300)
            let = let_keV_um(ion, energy)
            alpha = HSG.alpha_per_Gy(ion.charge_number, energy)
            rbe = [photons / dose_for(0.1, float(value), HSG.beta_per_Gy2) for value in alpha]
            left.plot(let, alpha, color=colour, label=ion.name)
            right.plot(let, rbe, color=colour)
        left.axhline(HSG.photon_alpha_per_Gy, color="#777777", lw=0.8, ls=":")
        left.text(0.28, HSG.photon_alpha_per_Gy + 0.03, "X-rays", color="#555555", fontsize=8)
        right.axhline(1.0, color="#777777", lw=0.8, ls=":")
        for axes, title in ((left, "α (1/Gy)"), (right, "RBE at 10 % survival")):
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, (0.3, 1, 3, 10, 30, 100, 300, 1000))
            axes.set_xlabel("LET (keV/µm)")
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0.0)
        left.legend(loc="upper left", fontsize=8)
        save(drawing, path)


def page() -> list[str]:
    """The whole page."""
    head = fill(
        f"""How far the [models of RBE](../explanation/rbe.md) do what they say. Made by `python -m
        verification.rbe --write docs/reference/verification-rbe.md --picture docs/images/rbe-let.svg` on
        {circumstances()}. Nothing was fitted here."""
    )
    parts = [spectrum_section(), published_section(), peer_section(), rbe_section()]
    return ["# Verification of the models of RBE", head, *(each for part in parts for each in part)]


def main(arguments: list[str]) -> int:
    """Compare, then print or write the page."""
    parser = page_parser("python -m verification.rbe", (__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draw alpha and RBE by LET into a file")
    asked = parser.parse_args(arguments)
    if asked.picture is not None:
        draw(asked.picture)
    put_page(page(), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
