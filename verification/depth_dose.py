"""Hold the depth doses of the Monte Carlo against reference libraries.

::

    python -m verification.depth_dose --write docs/reference/verification-depth-dose.md

The reference libraries lie beside the repository (``../shared/reference``) and are not part of it.  Energies
are counted from 0 in the order of a library: models are fitted on the even ones, and the odd ones tell what
the fit is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spotline.arrays import Floats
from spotline.machine.library.areas import CHAMBER
from spotline.measurement import Limits
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.transport.geometry import water
from spotline.physics.transport.run import Tally, TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from verification.figures import Figure, figure, judge, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.pictures import draw_depth_dose
from verification.reference import read_reference

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SEED = 5

LIMITS = {"plateau": 0.01, "peak": 0.02, "r80_mm": 0.1, "width_mm": 0.15, "tail": 0.1}
"""What is asked for: deviations of a depth dose from its reference, in size."""
PLATEAU = np.linspace(0.1, 0.8, 8)
"""Depths of the plateau over R80; each stands for the 5 % of R80 around it."""


def triangular_mm(width_mm: float) -> Floats:
    """Quantiles of the water in two crossed ripple filters, each uniform from 0 to half the width."""
    share = np.linspace(0.0, 1.0, 201)
    lower = np.sqrt(0.5 * np.minimum(share, 0.5))
    upper = 1.0 - np.sqrt(0.5 * np.minimum(1.0 - share, 0.5))
    return width_mm * np.where(share < 0.5, lower, upper)


def ramp_mm(width_mm: float) -> Floats:
    """Quantiles of the water in a ripple filter of wedges, whose share falls linearly with the thickness."""
    return width_mm * (1.0 - np.sqrt(1.0 - np.linspace(0.0, 1.0, 201)))


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """A reference library, and what must be known of how it was made.

    Attributes
    ----------
    ion : Ion
    stem : str
        Of the file with the depth doses.
    source : str
        Where it comes from.
    excitation_eV : float
        I of water in it.
    sigma_relative : float
        Standard deviation of the energy.
    ripple_mm : ndarray
        Quantiles of the water that a ripple filter put in front.
    before_mm : float
        Other water in front (nozzle).
    fits_offset : bool
        Whether the water in front is unknown, so that the mean of R80 on the even energies is taken off.
    is_absolute : bool
        Whether doses are per primary; otherwise they are brought to ours at a tenth of the range.
    primaries : int
        To simulate per energy.
    remark : str
        What a reader must know of the reference.
    """

    ion: Ion
    stem: str
    source: str
    excitation_eV: float
    sigma_relative: float = 0.0
    ripple_mm: Floats = field(default_factory=lambda: np.zeros(1))
    before_mm: float = 0.0
    fits_offset: bool = False
    is_absolute: bool = True
    primaries: int = 200_000
    remark: str = ""


LIBRARIES = {
    "proton": Library(
        PROTON,
        "matrad_proton_TOPAS_idd",
        "matRad protons_generic_TOPAS (TOPAS, Geant4)",
        77.4,
        remark="I fits the depths of the even energies. Between 65.3 and 67.9 MeV the reference "
        "itself has a break: its ratio of peak to entrance jumps from 6.13 to 6.40, while it falls steadily "
        "with energy above. The two energies below the break are wider there than range straggling makes "
        "them, and no energy spread fits both sides. The build-up of delta electrons in the first millimetre "
        "is not simulated.",
    ),
    "helium": Library(
        HELIUM,
        "matrad_helium_generic_idd",
        "matRad helium_Generic (unknown nozzle and ripple filter)",
        74.5,
        sigma_relative=0.001,
        ripple_mm=ramp_mm(3.0),
        fits_offset=True,
        is_absolute=False,
        primaries=30_000,
        remark="I, ripple filter and energy spread are those that make ranges and widths of the reference, "
        "whose nozzle is not known. Its dose at the surface is 5 to 10 % above the stopping power of the "
        "beam, the more the higher the energy, and falls over the first millimetres: it holds something that "
        "is not in a beam of helium alone.",
    ),
    "carbon": Library(
        CARBON,
        "matrad_carbon_generic_idd",
        "matRad carbon_Generic (about 2.6 mm of nozzle and ripple filter)",
        77.5,
        sigma_relative=0.001,
        ripple_mm=triangular_mm(4.0),
        before_mm=0.6,
        fits_offset=True,
        is_absolute=False,
        primaries=20_000,
    ),
    "oxygen": Library(
        OXYGEN,
        "pyradplan_oxygen_generic_idd",
        "pyRadPlan oxygen_Generic (TOPAS, a ripple filter whose mean is taken off)",
        79.3,
        sigma_relative=0.0015,
        ripple_mm=triangular_mm(4.2) - 2.05,
        primaries=15_000,
        remark="I, ripple filter and energy spread are those that make ranges and distal shapes of the "
        "reference at the even energies.",
    ),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What describes a Bragg curve.

    Attributes
    ----------
    peak : float
        Height, MeV cm2/g.
    r80_mm : float
        Distal depth of 80 % of it.
    width_mm : float
        From 80 to 20 % of the distal fall, which ends not at 0 but in the tail (6 mm behind R80): the tail of
        fast oxygen is more than a fifth of the peak.
    fwhm_mm : float
        Full width at half of the height.
    """

    peak: float
    r80_mm: float
    width_mm: float
    fwhm_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A simulated depth dose and its reference at one energy.

    Attributes
    ----------
    energy_MeV_u : float
    is_fitted : bool
        Whether models may have been fitted to this energy (even index).
    depth_mm, dose, reference : ndarray, shape (n,)
        Both curves on the same depths, MeV cm2/g per primary.
    plateau : ndarray, shape (len(PLATEAU),)
        Relative deviations.
    peak, fwhm : float
        Relative deviations.
    r80_mm, width_mm : float
        Deviations of R80 and of the distal width.
    tail : float
        Relative deviation of the energy behind the peak (from R80 + 5 mm to the end of the reference or
        1.3 R80); not a number where there is none.
    scale : float
        Factor on the reference.
    beyond_third : float
        Share of the energy farther from the axis than a third of R80.
    outside, most_outside : float
        Share of the energy outside of a chamber of 40.8 mm radius: of all, and at the depth before R80 where
        it is largest (over 5 mm).
    """

    energy_MeV_u: float
    is_fitted: bool
    depth_mm: Floats
    dose: Floats
    reference: Floats
    plateau: Floats
    peak: float
    fwhm: float
    r80_mm: float
    width_mm: float
    tail: float
    scale: float
    beyond_third: float
    outside: float
    most_outside: float


def read_library(library: Library) -> dict[float, tuple[Floats, Floats]]:
    """Depths (mm) and doses (MeV cm2/g per primary) by energy, in rising order."""
    columns = read_reference(f"{library.stem}.csv")
    energies = columns["energy_MeV_u"]
    return {
        float(energy): (columns["depth_mm"][energies == energy], columns["Z"][energies == energy])
        for energy in np.unique(energies)
    }


def shape_of(depth_mm: Floats, dose: Floats) -> Shape:
    """Measure a Bragg curve; its peak by a polynomial through what is above 90 %, against noise."""
    top = int(np.argmax(dose))
    low = dose < 0.9 * dose[top]
    first = top - int(np.argmax(low[top::-1])) + 1
    last = top + int(np.argmax(low[top:]))
    first, last = min(first, top - 3), max(last, top + 4)
    polynomial = np.polynomial.Polynomial.fit(depth_mm[first:last], dose[first:last], 4)
    fine = np.linspace(depth_mm[first], depth_mm[last - 1], 400)
    peak = float(np.max(polynomial(fine)))

    def crossing(level: float, step: int) -> float:
        i = top
        while 0 <= i + step < len(dose) and dose[i] >= level * peak:
            i += step
        share = (dose[i - step] - level * peak) / (dose[i - step] - dose[i])
        return float(depth_mm[i - step] + share * (depth_mm[i] - depth_mm[i - step]))

    r80_mm = crossing(0.8, 1)
    tail = float(np.interp(r80_mm + 6.0, depth_mm, dose)) / peak
    width_mm = crossing(tail + 0.2 * (1.0 - tail), 1) - crossing(tail + 0.8 * (1.0 - tail), 1)
    return Shape(peak, r80_mm, width_mm, crossing(0.5, 1) - crossing(0.5, -1))


def simulated(
    library: Library,
    energy_MeV_u: float,
    end_mm: float,
    *,
    halo_mm: float = CHAMBER.radius_mm,
    primaries: int | None = None,
    seed: int = SEED,
) -> tuple[Floats, Floats, Tally]:
    """Depths (mm), dose (MeV cm2/g per primary) and tally of our Monte Carlo as far as a depth in water.

    The tally has one ring, of radius `halo_mm`, over the whole depth.
    """
    width_mm = min(0.25, max(0.05, 0.002 * end_mm))
    begin_mm = -library.before_mm - max(0.0, float(library.ripple_mm.max())) - 1.0
    edges_mm = np.arange(0.0, end_mm + width_mm, width_mm)
    source = pencil_source(
        library.ion,
        energy_MeV_u,
        sigma_relative=library.sigma_relative,
        start_mm=-library.before_mm,
        ripple_mm=library.ripple_mm,
    )
    result = simulate(
        source,
        water(edges_mm[-1] - begin_mm, begin_mm),
        TallyPlan(
            edges_mm, ring_depth_mm=edges_mm[[0, -1]], ring_mm=np.array([0.0, halo_mm]), areas=(CHAMBER,)
        ),
        primaries=primaries or library.primaries,
        seed=seed,
        physics=TransportPhysics(excitation_eV=library.excitation_eV),
    )
    return 0.5 * (edges_mm[1:] + edges_mm[:-1]), result.total_MeV / width_mm * 10.0, result


def compare(
    library: Library,
    energies: Iterable[float] | None = None,
    *,
    primaries: int | None = None,
) -> list[Comparison]:
    """Simulate energies of a library (all by default) and hold them against it."""
    reference = read_library(library)
    order = list(reference)
    chosen = list(reference if energies is None else energies)
    curves = {}
    for energy in chosen:
        say(f"{library.ion.name} {energy:g} MeV/u")
        depth_mm, dose = reference[energy]
        third_mm = shape_of(depth_mm, dose).r80_mm / 3.0
        end_mm = float(depth_mm[-1])
        curves[energy] = simulated(library, energy, end_mm, halo_mm=third_mm, primaries=primaries)
    offset_mm = 0.0
    if library.fits_offset:
        even = [energy for energy in chosen if order.index(energy) % 2 == 0] or chosen
        offset_mm = float(
            np.mean([shape_of(*curves[e][:2]).r80_mm - shape_of(*reference[e]).r80_mm for e in even])
        )
    return [
        _compared(library, energy, order.index(energy) % 2 == 0, curves[energy], reference[energy], offset_mm)
        for energy in chosen
    ]


def _compared(
    library: Library,
    energy: float,
    is_fitted: bool,
    ours: tuple[Floats, Floats, Tally],
    theirs: tuple[Floats, Floats],
    offset_mm: float,
) -> Comparison:
    depth_mm, dose, tally = ours
    depth_mm = depth_mm - offset_mm
    inside = (depth_mm >= theirs[0][0]) & (depth_mm <= theirs[0][-1])
    depth_mm, dose = depth_mm[inside], dose[inside]
    reference = np.interp(depth_mm, *theirs)
    # Both on the same depths, so that what shape_of makes of them is the same.
    shape, wanted = shape_of(depth_mm, dose), shape_of(depth_mm, reference)

    def ratio(first_mm: float, last_mm: float) -> float:
        part = (depth_mm >= first_mm) & (depth_mm <= last_mm)
        return float(dose[part].sum() / reference[part].sum()) if part.any() else math.nan

    r80 = wanted.r80_mm
    scale = 1.0 if library.is_absolute else ratio(0.05 * r80, 0.15 * r80)
    plateau = np.array([ratio((f - 0.025) * r80, (f + 0.025) * r80) for f in PLATEAU]) / scale - 1.0
    end_mm = min(float(depth_mm[-1]), max(1.3 * r80, r80 + 20.0))
    return Comparison(
        energy,
        is_fitted,
        depth_mm,
        dose,
        reference * scale,
        plateau,
        shape.peak / (wanted.peak * scale) - 1.0,
        shape.fwhm_mm / wanted.fwhm_mm - 1.0,
        shape.r80_mm - r80,
        shape.width_mm - wanted.width_mm,
        ratio(r80 + 5.0, end_mm) / scale - 1.0 if library.ion is not PROTON else math.nan,
        scale,
        1.0 - float(tally.ring_MeV.sum() / tally.total_MeV.sum()),
        1.0 - float(tally.in_area_MeV(CHAMBER.name).sum() / tally.total_MeV.sum()),
        _most_outside(tally, r80),
    )


def _most_outside(tally: Tally, r80_mm: float) -> float:
    bins = max(1, round(5.0 / (tally.depth_mm[1] - tally.depth_mm[0])))
    smooth = np.ones(bins)
    outside = np.convolve(tally.total_MeV - tally.in_area_MeV(CHAMBER.name), smooth, "same")
    share = outside / np.convolve(tally.total_MeV, smooth, "same")
    return float(share[: np.searchsorted(tally.depth_mm, r80_mm)].max())


def rows_of(comparisons: Sequence[Comparison], *, is_proton: bool) -> list[tuple[str, ...]]:
    """Rows of the table of an ion."""
    return [
        (
            f"{c.energy_MeV_u:g}",
            "fitted" if c.is_fitted else "not fitted",
            percent(float(np.mean(c.plateau)), sign=True),
            percent(float(c.plateau[np.argmax(np.abs(c.plateau))]), sign=True),
            percent(c.peak, sign=True),
            percent(c.fwhm, sign=True),
            figure(c.r80_mm, "+.3f"),
            figure(c.width_mm, "+.3f"),
            *(() if is_proton else (percent(c.tail, sign=True), figure(c.scale, ".3f"))),
        )
        for c in comparisons
    ]


HEADER = ("MeV/u", "", "plateau, mean", "plateau, worst", "peak", "FWHM", "R80 (mm)", "distal width (mm)")


def summary_of(comparisons: Sequence[Comparison], *, is_proton: bool) -> list[tuple[str, ...]]:
    """Rows of the table of what is asked for: worst and root mean square on both halves."""
    measures = {
        "plateau": ("plateau", [c.plateau for c in comparisons]),
        "peak": ("peak", [np.array([c.peak]) for c in comparisons]),
        "r80_mm": ("R80", [np.array([c.r80_mm]) for c in comparisons]),
        "width_mm": ("distal width", [np.array([c.width_mm]) for c in comparisons]),
    }
    if not is_proton:
        measures["tail"] = ("tail", [np.array([c.tail]) for c in comparisons])
    rows = []
    for name, (title, values) in measures.items():
        limit = LIMITS[name]

        def text(value: float, name: str = name) -> Figure:
            return figure(value, ".3f", "mm") if name.endswith("_mm") else percent(value)

        cells = [title, text(limit)]
        worst_of_odd = math.nan
        for is_fitted in (True, False):
            half = [v for v, c in zip(values, comparisons, strict=True) if c.is_fitted is is_fitted]
            if not half:
                cells.append("-")
                continue
            joined = np.concatenate(half)
            worst, rms = float(np.max(np.abs(joined))), float(np.sqrt(np.mean(joined**2)))
            cells.append(Figure(f"{text(worst)} (rms {text(rms)})", text(worst).value, text(worst).unit))
            worst_of_odd = worst
        rows.append((*cells, judge(worst_of_odd, Limits(high=limit))))
    return rows


def section(name: str, primaries: int | None, draws: bool) -> list[str]:
    """The part of the page on one ion."""
    library = LIBRARIES[name]
    is_proton = library.ion is PROTON
    comparisons = compare(library, primaries=primaries)
    if draws:
        picks = comparisons[1::2] or comparisons
        picks = [picks[i] for i in np.unique(np.linspace(0, len(picks) - 1, 4).astype(int))]
        draw_depth_dose(
            IMAGES / f"verification-depth-dose-{name}.svg",
            {f"{c.energy_MeV_u:g} MeV/u": (c.depth_mm, c.dose, c.reference) for c in picks},
        )
    header = HEADER if is_proton else (*HEADER, "tail", "scale")
    front = (
        f"{library.before_mm:g} mm of water and a ripple filter (standard deviation "
        f"{_spread_mm(library.ripple_mm):.2f} mm, mean {library.ripple_mm.mean():.2f} mm) in front"
        if len(library.ripple_mm) > 1
        else "nothing in front"
    )
    parts = [
        f"## {name.capitalize()}",
        fill(
            f"Reference: {library.source}; simulated with I = {library.excitation_eV:g} eV, a relative "
            f"energy spread of {percent(library.sigma_relative, 2)}, {front}"
            + ("; one offset in depth fitted on the even energies" if library.fits_offset else "")
            + (". " if library.is_absolute else "; doses relative to that at a tenth of the range. ")
            + library.remark
        ),
        table(
            ("", "asked for", "even energies, worst", "odd energies, worst", "odd"),
            summary_of(comparisons, is_proton=is_proton),
            keys=1,
        ),
        table(header, rows_of(comparisons, is_proton=is_proton)),
    ]
    if draws:
        parts.append(
            f"![Depth doses of {name}, simulated and reference, and their ratio]"
            f"(../images/verification-depth-dose-{name}.svg)"
        )
    if is_proton:
        rows = [
            (
                f"{c.energy_MeV_u:g}",
                percent(c.beyond_third, 2),
                percent(c.outside, 2),
                percent(c.most_outside, 1),
            )
            for c in comparisons[1::4]
        ]
        parts += [
            fill(
                "The halo of a beam without width: share of the energy farther from the axis than a third of "
                "the range, which is about the radius of the halo of charged secondaries (Gottschalk et al., "
                "Phys. Med. Biol. 60 (2015) 5627), and than the radius of the chamber of a water column."
            ),
            table(
                (
                    "MeV",
                    "beyond R80/3",
                    f"beyond {CHAMBER.radius_mm:g} mm",
                    f"beyond {CHAMBER.radius_mm:g} mm, at the depth where it is most",
                ),
                rows,
            ),
        ]
    return parts


def _spread_mm(quantiles_mm: Floats) -> float:
    return float(np.std(quantiles_mm))


def page(names: Sequence[str], primaries: int | None, draws: bool) -> list[str]:
    """The page of the results."""
    sections = [part for name in names for part in section(name, primaries, draws)]
    return [
        "# Verification: depth doses in water",
        fill(
            "Energy left in water per primary, depth and density, integrated over all radii: our Monte Carlo "
            "against published libraries. Models are fitted on every other energy (even); the odd energies, "
            "on which nothing was fitted, decide what is met. Plateau: 5 % of R80 around each of "
            f"{', '.join(f'{f:g}' for f in PLATEAU)} R80. R80: distal depth of 80 % of "
            "the peak. Distal width: from 80 to 20 % of the fall from the peak to the tail."
        ),
        *sections,
        f"<sub>`python -m verification.depth_dose`, seed {SEED}; {circumstances()}</sub>",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, compare, and print or write the page."""
    parser = page_parser("python -m verification.depth_dose", __doc__.splitlines()[0])
    parser.add_argument("--ions", nargs="+", choices=list(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--primaries", type=int, help="per energy; by default as many as each ion needs")
    asked = parser.parse_args(arguments)
    put_page(page(asked.ions, asked.primaries, draws=asked.write is not None), asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
