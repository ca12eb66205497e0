"""What there is to say about a beam library, or one energy of it: numbers ready to be shown or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.machine.library.curve import Ranges
from spotline.machine.library.headers import DepthFigures, EnergyFigures, LibraryFigures
from spotline.machine.library.model import BeamLibrary, Entry
from spotline.machine.library.modifiers import Thickness, in_beam

DEPTHS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Depths of the table of one energy, as fractions of that of the peak."""


@dataclass(frozen=True, slots=True, eq=False)
class EnergyView:
    """One energy on a line.

    Attributes
    ----------
    energy_MeV_u : float
        Kinetic energy per nucleon in vacuum.
    nominal_mm : float
        Depth of the peak that the line gives for it; NaN if it does not list the energy.
    entry : Entry
        Behind everything that is in the beam.
    ranges : Ranges
        Its peak, ranges and widths.
    """

    energy_MeV_u: float
    nominal_mm: float
    entry: Entry
    ranges: Ranges


@dataclass(frozen=True, slots=True, eq=False)
class LibraryView:
    """A library seen through a line.

    Attributes
    ----------
    library : BeamLibrary
        The figures.
    beamline : BeamLine
        The line.
    mounted : tuple of str
        Ripple filters and range shifters in the beam.
    thickness : Thickness
        All that lies before the water.
    energies : tuple of EnergyView
        All that were asked for.
    """

    library: BeamLibrary
    beamline: BeamLine
    mounted: tuple[str, ...]
    thickness: Thickness
    energies: tuple[EnergyView, ...]


def library_overview(
    library: BeamLibrary,
    beamline: BeamLine,
    energy_MeV_u: float | None = None,
    *,
    range_modulators: Sequence[str] = (),
    range_shifters: Sequence[str] = (),
) -> LibraryView:
    """Look at one energy of a library, or at all.

    Parameters
    ----------
    library : BeamLibrary
        The figures.
    beamline : BeamLine
        The line: its nozzle, and what may be mounted in it.
    energy_MeV_u : float, optional
        By default all energies of the library that reach the water.
    range_modulators, range_shifters : sequence of str
        What is in the beam.

    Raises
    ------
    LibraryError, OptionError
        If the library lacks the energy, the line an element, or nothing reaches the water.
    """
    ion_name = library.ion.name
    thickness = in_beam(beamline, ion_name, range_modulators=range_modulators, range_shifters=range_shifters)
    views, refused = [], None
    for energy in library.energy_MeV_u.tolist() if energy_MeV_u is None else [energy_MeV_u]:
        try:
            entry = library.entry(energy).with_thickness(thickness)
        except OptionError as error:
            refused = error
            continue
        nominal = float(beamline.range_mm(ion_name, energy))
        views.append(EnergyView(energy, nominal, entry, entry.ranges()))
    if not views:
        assert refused is not None
        raise refused
    mounted = (*range_modulators, *range_shifters)
    return LibraryView(library, beamline, mounted, thickness, tuple(views))


def figures_of(view: LibraryView, *, in_full: bool) -> LibraryFigures:
    """Return all figures for JSON; with those along the depth of the first energy if `in_full`."""
    first = view.energies[0]
    return LibraryFigures(
        beamline=view.beamline.name,
        ion=view.library.ion.name,
        library=None if view.library.path is None else view.library.path.name,
        mounted=view.mounted,
        thickness_mm=view.thickness.mean_mm,
        letd_of=view.library.letd_group,
        made_with=view.library.header,
        energies=tuple(map(energy_figures, view.energies)),
        depths=depth_figures(first) if in_full else (),
        curve=_curve_of(first) if in_full else None,
    )


def energy_figures(view: EnergyView) -> EnergyFigures:
    """Return the figures of one energy: None where there is none."""
    row = {"energy_MeV_u": view.energy_MeV_u, "nominal_depth_mm": view.nominal_mm, **asdict(view.ranges)}
    return EnergyFigures(**{name: value if np.isfinite(value) else None for name, value in row.items()})


def depth_figures(view: EnergyView) -> tuple[DepthFigures, ...]:
    """Return dose, LET and lateral shape at some depths up to the peak."""
    rows = []
    for fraction in DEPTHS:
        depth_mm = fraction * view.ranges.peak_mm
        lateral = view.entry.lateral(depth_mm)
        rows.append(
            DepthFigures(
                depth_mm=depth_mm,
                dose_MeV_cm2_g=float(view.entry.dose_MeV_cm2_g(depth_mm)),
                letd_keV_um=float(view.entry.letd(depth_mm)),
                core_mm=float(lateral.core_mm[0]),
                halo_mm=float(lateral.halo_mm[0, 0]),
                halo_share=float(lateral.halo_share[0, 0]),
                wide_halo_mm=float(lateral.halo_mm[0, 1]),
                wide_halo_share=float(lateral.halo_share[0, 1]),
            )
        )
    return tuple(rows)


def _curve_of(view: EnergyView) -> dict[str, tuple[float, ...]]:
    entry = view.entry
    columns = {
        "depth_mm": entry.depth_mm,
        "field_MeV_cm2_g": entry.field_MeV_cm2_g,
        **{f"{area.name}_MeV_cm2_g": entry.scored_MeV_cm2_g(area.name) for area in entry.areas},
        "error_MeV_cm2_g": entry.error_MeV_cm2_g,
        "letd_keV_um": entry.letd(entry.depth_mm),
        **{f"letd_{group}_keV_um": entry.letd(entry.depth_mm, group) for group in entry.letd_groups},
    }
    return {name: tuple(values.tolist()) for name, values in columns.items()}
