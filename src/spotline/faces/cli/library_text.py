"""A beam library on a terminal, or in a pipe."""

from __future__ import annotations

import sys

import numpy as np

from spotline.faces.cli.columns import print_columns
from spotline.machine.beams import spread_in_words
from spotline.machine.library.letd import IN_WORDS
from spotline.machine.library.overview import EnergyView, LibraryView, depth_figures

WIDTH, HEIGHT = 72, 12
"""Characters of the picture of a curve."""
BLOCKS = " ▁▂▃▄▅▆▇█"


def print_library(view: LibraryView, *, in_full: bool) -> None:
    """Print one energy in full, or a line for each."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    made = view.library.facts
    before = f"behind {view.thickness.mean_mm:.2f} mm of water ({', '.join(('nozzle', *view.mounted))})"
    print(f"{view.library.ion.name} on {view.beamline.name}, {before}")
    print(
        f"simulated {made.made[:10]} with {made.primaries} primaries per energy, momentum spread "
        f"{spread_in_words(view.beamline, view.library)}"
    )
    print(f"LETd of {IN_WORDS[view.library.letd_group]}; the library has {', '.join(made.letd_groups)}")
    print()
    if in_full:
        _print_energy(view.energies[0])
    else:
        _print_all(view)


def _print_energy(view: EnergyView) -> None:
    ranges = view.ranges
    end_mm = min(1.15 * ranges.R10_mm if np.isfinite(ranges.R10_mm) else np.inf, view.entry.depth_mm[-1])
    for line in _picture(view, end_mm):
        print(line)
    print()
    facts = [
        ("energy", f"{view.energy_MeV_u:g} MeV/u"),
        ("peak", f"{ranges.peak_mm:.2f} mm, {ranges.peak_MeV_cm2_g:.4g} MeV cm2/g"),
        ("peak to entrance", f"{ranges.peak_MeV_cm2_g / ranges.entrance_MeV_cm2_g:.2f}"),
        (
            "R90, R80, R50, R10",
            f"{', '.join(_mm(r) for r in (ranges.R90_mm, ranges.R80_mm, ranges.R50_mm, ranges.R10_mm))} mm",
        ),
        ("width at 50, 80 %", f"{_mm(ranges.FWHM_mm)}, {_mm(ranges.W80_mm)} mm"),
        ("80 to 20 % behind", f"{_mm(ranges.distal_80_20_mm)} mm"),
    ]
    if np.isfinite(view.nominal_mm):
        facts.insert(1, ("nominal depth", f"{view.nominal_mm:.2f} mm"))
    for name, value in facts:
        print(f"  {name:<18}  {value}")
    print()
    rows = [
        (
            _mm(row.depth_mm, 1),
            f"{row.dose_MeV_cm2_g:.4g}",
            f"{row.letd_keV_um:.3g}",
            _mm(row.core_mm),
            f"{100 * row.halo_share:.2f}",
            _mm(row.halo_mm, 1),
            f"{100 * row.wide_halo_share:.2f}",
            _mm(row.wide_halo_mm, 1),
        )
        for row in depth_figures(view)
    ]
    heads = ("depth", "dose", "LETd", "core", "halo", "sigma", "wide halo", "sigma")
    units = ("mm", "MeV cm2/g", "keV/um", "mm", "%", "mm", "%", "mm")
    print_columns((heads, units, *rows))


def _print_all(view: LibraryView) -> None:
    rows = [
        (
            f"{one.energy_MeV_u:.2f}",
            _mm(one.nominal_mm),
            _mm(one.ranges.peak_mm),
            _mm(one.ranges.R80_mm),
            _mm(one.ranges.FWHM_mm),
            _mm(one.ranges.distal_80_20_mm),
            f"{one.ranges.peak_MeV_cm2_g / one.ranges.entrance_MeV_cm2_g:.2f}",
        )
        for one in view.energies
    ]
    heads = ("energy", "nominal", "peak", "R80", "FWHM", "80-20 %", "peak to")
    units = ("MeV/u", "mm", "mm", "mm", "mm", "mm", "entrance")
    print_columns((heads, units, *rows))


def _picture(view: EnergyView, end_mm: float) -> list[str]:
    """The depth dose as columns of blocks over an axis of depth."""
    edges = np.linspace(0.0, end_mm, WIDTH + 1)
    # The highest value in each column, so that a peak narrower than a column is seen.
    fine = np.linspace(edges[:-1], edges[1:], 20)
    dose = view.entry.dose_MeV_cm2_g(fine).max(axis=0)
    eighths = np.round(dose / dose.max() * HEIGHT * 8).astype(int)
    lines = []
    for row in range(HEIGHT - 1, -1, -1):
        text = "".join(BLOCKS[min(max(value - 8 * row, 0), 8)] for value in eighths)
        lines.append(f"  |{text.rstrip()}")
    lines.append("  +" + "-" * WIDTH)
    first, middle, last = "0", f"{end_mm / 2:.0f}", f"{end_mm:.0f} mm"
    gap = WIDTH // 2 - len(first) - len(middle) // 2
    after = WIDTH - len(first) - gap - len(middle) - len(last)
    lines.append("   " + first + " " * gap + middle + " " * after + last)
    return lines


def _mm(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"
