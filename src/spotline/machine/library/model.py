"""The beam library: what single pencil beams of one ion do in water, energy by energy.

Depths are mm of water from the surface that the beam enters from vacuum.  Nozzle, ripple filters and range
shifters come in with `Entry.with_thickness`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from spotline.arrays import Floats
from spotline.errors import LibraryError, OptionError
from spotline.hdf5 import typed
from spotline.machine.library.areas import FIELD, of_header
from spotline.machine.library.curve import Ranges, ranges_of
from spotline.machine.library.grid import depth_edges_mm, middles
from spotline.machine.library.headers import LibraryHeader
from spotline.machine.library.letd import LETD_GROUPS, letd_group
from spotline.machine.library.modifiers import Thickness
from spotline.physics.ions import IONS, Ion
from spotline.physics.transport.areas import Area

N_HALOS = 2
SURFACE_BINS = 6
SHORTEST_mm = 1.0
"""Beams of a shorter range in the water are taken as stopped."""
END_sigmas = 1.5
"""So many standard deviations behind the range the lateral shape is still that of the primaries: fewer than a
tenth of them come further, and what is dosed there they dose."""
N_GROUPS = 10
"""Primaries that have not reacted, secondaries by charge number 1 to 8, and a last one that is empty in
spectra and in the dose holds what reactions leave on the spot."""


class LibraryArrays(NamedTuple):
    """All of a library as plain arrays, for compiled code; the first axis is the energy.

    Attributes
    ----------
    energy_MeV_u : ndarray, shape (n,)
        Ascending.
    range_mm, sigma_mm : ndarray, shape (n,)
        Range in continuous slowing down, and the standard deviation by which the depths were laid out.
    depth_mm : ndarray, shape (n, n_depths)
        Depths of the next five: middles of the depth bins.
    field_MeV_cm2_g : ndarray, shape (n, n_depths)
        Depth dose per primary in 25 x 25 cm2.
    within_MeV_cm2_g : ndarray, shape (n, n_areas, n_depths)
        The same in each of the other areas that were scored.
    error_MeV_cm2_g : ndarray, shape (n, n_depths)
        Standard error of the simulation, over all of the water.
    letd_keV_um : ndarray, shape (n, n_letd, n_depths)
        Dose-averaged linear energy transfer in water, of the groups of particles that the library has
        (`spotline.machine.library.letd.LETD_GROUPS`, unless it is an old one).
    letd_share : ndarray, shape (n, n_letd, n_depths)
        Part of the dose that each of these groups leaves.
    lateral_depth_mm : ndarray, shape (n, n_lateral)
        Depths of the three below.
    core_mm : ndarray, shape (n, n_lateral)
        Standard deviation of the core, one plane, of a beam that enters as a point without divergence.
    halo_mm, halo_share : ndarray, shape (n, n_lateral, 2)
        Standard deviations of the two Gaussians around the core, and their shares of the dose.
    plane_mm : ndarray, shape (n, n_planes)
        Depths of the spectra: middles of the layers in which they were scored.
    spectrum_edges_MeV_u : ndarray, shape (n, n_bins + 1)
        Edges of the energy bins.
    spectrum : ndarray, shape (n, n_planes, 10, n_bins)
        Fluence per primary, integrated across the beam, by group: primaries that have not reacted, then
        secondaries by charge number.  Particles that go straight on count 1, those aslant as much more as
        their way is longer.
    """

    energy_MeV_u: Floats
    range_mm: Floats
    sigma_mm: Floats
    depth_mm: Floats
    field_MeV_cm2_g: Floats
    within_MeV_cm2_g: Floats
    error_MeV_cm2_g: Floats
    letd_keV_um: Floats
    letd_share: Floats
    lateral_depth_mm: Floats
    core_mm: Floats
    halo_mm: Floats
    halo_share: Floats
    plane_mm: Floats
    spectrum_edges_MeV_u: Floats
    spectrum: Floats


class Lateral(NamedTuple):
    """Lateral shape at some depths: a core and two wider Gaussians around it.

    Attributes
    ----------
    core_mm : ndarray, shape (n,)
        Standard deviation in one plane, without that of the incoming beam.
    halo_mm, halo_share : ndarray, shape (n, 2)
        Standard deviations, and shares of the dose; the core has the rest.
    """

    core_mm: Floats
    halo_mm: Floats
    halo_share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One energy of a library; fields as in `LibraryArrays`, without its first axis.

    Attributes
    ----------
    ion : Ion
        The beam.
    areas : tuple of Area
        Those of ``within_MeV_cm2_g``.
    letd_groups : tuple of str
        Those of ``letd_keV_um``.
    """

    ion: Ion
    energy_MeV_u: float
    range_mm: float
    sigma_mm: float
    depth_mm: Floats
    field_MeV_cm2_g: Floats
    within_MeV_cm2_g: Floats
    error_MeV_cm2_g: Floats
    letd_keV_um: Floats
    letd_share: Floats
    lateral_depth_mm: Floats
    core_mm: Floats
    halo_mm: Floats
    halo_share: Floats
    plane_mm: Floats
    spectrum_edges_MeV_u: Floats
    spectrum: Floats
    areas: tuple[Area, ...] = ()
    letd_groups: tuple[str, ...] = LETD_GROUPS

    def scored_MeV_cm2_g(self, area: str = FIELD.name) -> Floats:
        """Depth dose per primary in an area, at the depths of the entry.

        Raises
        ------
        OptionError
            If the library has none for that area.
        """
        names = [FIELD.name, *(scored.name for scored in self.areas)]
        if area not in names:
            raise OptionError(
                f"area {area!r}: the library has depth doses in {', '.join(names)}; take one of these, or "
                "build it anew with --area"
            )
        return self.field_MeV_cm2_g if area == FIELD.name else self.within_MeV_cm2_g[names.index(area) - 1]

    def dose_MeV_cm2_g(self, depth_mm: ArrayLike, area: str = FIELD.name) -> Floats:
        """Depth dose per primary at any depths: PCHIP between the depths of the entry, 0 behind the last."""
        return self._curve(self.scored_MeV_cm2_g(area))(depth_mm)

    def _curve(self, values: Floats) -> Callable[[ArrayLike], Floats]:
        """Depth dose as a function, for those who need it more than once."""
        # Before the first middle of a bin the curve goes straight on.
        within = PchipInterpolator(
            np.concatenate([[0.0], self.depth_mm]), np.concatenate([[_at_surface(self, values)], values])
        )
        last_mm = self.depth_mm[-1]

        def curve(depth_mm: ArrayLike) -> Floats:
            depth = np.asarray(depth_mm, dtype=float)
            dose: Floats = within(np.clip(depth, 0.0, last_mm))
            return np.where((depth >= 0.0) & (depth <= last_mm), dose, 0.0)

        return curve

    @property
    def letd_group(self) -> str:
        """Of which particles `letd` is, unless others are asked for."""
        return letd_group(self.ion, self.letd_groups)

    def letd(self, depth_mm: ArrayLike, group: str | None = None) -> Floats:
        """Dose-averaged LET in keV/um at any depths, straight between those of the entry.

        Parameters
        ----------
        depth_mm : array_like
        group : str, optional
            Of which particles: one of `letd_groups`; by default `letd_group`.

        Raises
        ------
        OptionError
            If the library has none of that group.
        """
        if group is not None and group not in self.letd_groups:
            raise OptionError(
                f"LETd of {group!r}: the library has it of {', '.join(self.letd_groups)}; take one of these, "
                "or build it anew"
            )
        values = self.letd_keV_um[self.letd_groups.index(group or self.letd_group)]
        letd: Floats = np.interp(np.asarray(depth_mm, dtype=float), self.depth_mm, values)
        return letd

    def lateral(self, depth_mm: ArrayLike) -> Lateral:
        """Lateral shape at depths of shape (n,), straight between those of the entry.

        Before the end of range the primaries make it, and behind it what they left.  Libraries of format 4
        have depths where one becomes the other; where there is none within `END_sigmas` behind the range,
        each part goes on as it is up to there.
        """
        depth = np.atleast_1d(np.asarray(depth_mm, dtype=float))
        last, end = np.searchsorted(
            self.lateral_depth_mm, [self.range_mm, self.range_mm + END_sigmas * self.sigma_mm]
        )
        if end > last:
            return Lateral(
                np.interp(depth, self.lateral_depth_mm, self.core_mm),
                self._straight(depth, self.halo_mm),
                self._straight(depth, self.halo_share),
            )
        last = max(1, int(last))
        before_mm, behind_mm = self.lateral_depth_mm[:last], self.lateral_depth_mm[last:]
        is_behind = depth > self.range_mm + END_sigmas * self.sigma_mm
        # What the last two depths have in between is not known further on than they are apart.
        spacing_mm = before_mm[-1] - before_mm[-2] if last > 1 else 0.0
        past_mm = np.clip(depth - before_mm[-1], 0.0, spacing_mm)

        def at(values: Floats) -> Floats:
            values_at: Floats = np.interp(depth, before_mm, values[:last])
            if spacing_mm > 0.0:
                values_at += past_mm / spacing_mm * (values[last - 1] - values[last - 2])
            if len(behind_mm):
                values_at = np.where(is_behind, np.interp(depth, behind_mm, values[last:]), values_at)
            return np.maximum(values_at, 0.0)

        return Lateral(
            at(self.core_mm),
            np.stack([at(self.halo_mm[:, k]) for k in range(N_HALOS)], axis=-1),
            np.stack([at(self.halo_share[:, k]) for k in range(N_HALOS)], axis=-1),
        )

    def _straight(self, depth_mm: Floats, values: Floats) -> Floats:
        """Figures of both halos at depths of shape (n,): shape (n, 2)."""
        columns = [np.interp(depth_mm, self.lateral_depth_mm, column) for column in values.T]
        return np.stack(columns, axis=-1)

    def particles(self, depth_mm: float) -> Floats:
        """Fluence per primary by group and energy, shape (10, n_bins), straight between depths."""
        particles: Floats = _between_planes(self, np.array([depth_mm]))[0]
        return particles

    def ranges(self, area: str = FIELD.name) -> Ranges:
        """Peak, ranges and widths of the depth dose."""
        depth = np.concatenate([[0.0], self.depth_mm])
        return ranges_of(depth, self.dose_MeV_cm2_g(depth, area))

    def with_thickness(self, thickness: Thickness) -> Entry:
        """Return the entry behind something in the beam, such as a nozzle with ripple filters.

        Doses and spectra are means over the distribution of thickness.  LETd is a mean weighted with the dose
        of its particles, the lateral shape one weighted with dose (of variances, for the widths): scattering
        in the modifier is that of as much water at the surface, and how far it spreads on the way there
        belongs to the optics.

        Parameters
        ----------
        thickness : Thickness
            Water-equivalent thickness that particles meet.

        Raises
        ------
        OptionError
            If the beam does not reach the water.
        """
        range_mm = self.range_mm - thickness.mean_mm
        if range_mm < SHORTEST_mm:
            raise OptionError(
                f"{self.ion.name} of {self.energy_MeV_u:g} MeV/u reaches {self.range_mm:.1f} mm of water, "
                f"and {thickness.mean_mm:.1f} mm lie before it; take a higher energy or less in the beam"
            )
        sigma_mm = float(np.sqrt(self.sigma_mm**2 + thickness.variance_mm2))
        depth = middles(depth_edges_mm(range_mm, sigma_mm))
        lateral_depth = np.maximum(self.lateral_depth_mm - thickness.mean_mm, 0.0)
        lateral_depth += 1e-6 * np.arange(len(lateral_depth))  # those before the surface fall onto it
        plane = np.maximum(self.plane_mm - thickness.mean_mm, 0.0) + 1e-6 * np.arange(len(self.plane_mm))
        field, error = np.zeros_like(depth), np.zeros_like(depth)
        let, let_dose = (np.zeros((len(self.letd_groups), len(depth))) for _ in range(2))
        within = np.zeros((len(self.within_MeV_cm2_g), len(depth)))
        weight = np.zeros_like(lateral_depth)
        core, halo = np.zeros_like(self.core_mm), np.zeros_like(self.halo_mm)
        share, spectrum = np.zeros_like(self.halo_share), np.zeros_like(self.spectrum)
        in_field = self._curve(self.field_MeV_cm2_g)
        in_areas = [self._curve(values) for values in self.within_MeV_cm2_g]
        for t, p in zip(thickness.thickness_mm, thickness.share, strict=True):
            dose = in_field(depth + t)
            field += p * dose
            for values, in_area in zip(within, in_areas, strict=True):
                values += p * in_area(depth + t)
            # The same particles are seen in all terms, so errors add up and not their squares.
            error += p * np.interp(depth + t, self.depth_mm, self.error_MeV_cm2_g, right=0.0)
            for k, group in enumerate(self.letd_groups):
                left = p * dose * np.interp(depth + t, self.depth_mm, self.letd_share[k])
                let_dose[k] += left
                let[k] += left * self.letd(depth + t, group)
            at = self.lateral(lateral_depth + t)
            w = p * np.maximum(in_field(lateral_depth + t), 1e-12)
            weight += w
            core += w * at.core_mm**2
            halo += w[:, None] * at.halo_mm**2
            share += w[:, None] * at.halo_share
            spectrum += p * _between_planes(self, plane + t)
        dosed = let_dose > 0.0
        beyond = np.array([self.letd(depth + thickness.mean_mm, group) for group in self.letd_groups])
        let = np.where(dosed, let / np.where(dosed, let_dose, 1.0), beyond)
        return Entry(
            self.ion,
            self.energy_MeV_u,
            range_mm,
            sigma_mm,
            depth,
            field,
            within,
            error,
            let,
            np.where(dosed, let_dose / np.where(dosed, field, 1.0), 0.0),
            lateral_depth,
            np.sqrt(core / weight),
            np.sqrt(halo / weight[:, None]),
            share / weight[:, None],
            plane,
            self.spectrum_edges_MeV_u,
            spectrum,
            self.areas,
            self.letd_groups,
        )


@dataclass(frozen=True, eq=False)
class BeamLibrary:
    """Depth doses, lateral shapes, LET and spectra of all energies of one ion.

    Attributes
    ----------
    header : dict
        What the library holds and how it was made (see docs/reference/beam-library.md).
    arrays : LibraryArrays
        The figures.
    path : Path or None
        Where it was read from.
    """

    header: dict[str, Any]
    arrays: LibraryArrays
    path: Path | None = None

    @cached_property
    def facts(self) -> LibraryHeader:
        """`header` with types.

        Raises
        ------
        KeyError, ValueError
            If it lacks something, or holds something else.
        """
        return typed(LibraryHeader, self.header)

    @property
    def ion(self) -> Ion:
        """The beam."""
        return IONS[self.facts.ion]

    @property
    def energy_MeV_u(self) -> Floats:
        """Energies of the entries, ascending."""
        return self.arrays.energy_MeV_u

    @property
    def momentum_spread_percent(self) -> float:
        """Full width at half maximum of the momentum distribution of the beam."""
        return self.facts.momentum_spread_percent

    @cached_property
    def areas(self) -> tuple[Area, ...]:
        """In which there are depth doses beside that of the field."""
        return of_header(self.facts.areas)

    @property
    def letd_groups(self) -> tuple[str, ...]:
        """Of which particles there is LETd."""
        return self.facts.letd_groups

    @property
    def letd_group(self) -> str:
        """Of which particles LETd of this beam is, unless others are asked for."""
        return letd_group(self.ion, self.letd_groups)

    def as_arrays(self) -> LibraryArrays:
        """Return all figures as plain arrays, for compiled code."""
        return self.arrays

    @cached_property
    def _range_of(self) -> PchipInterpolator:
        return PchipInterpolator(self.arrays.energy_MeV_u, self.arrays.range_mm)

    def entry(self, energy_MeV_u: float) -> Entry:
        """Return the entry of an energy.

        Between two energies it is their mean, index by index, weighted so that the range is that of the
        energy: the depths of an entry are laid out by its range, so that peak comes to lie on peak.

        Parameters
        ----------
        energy_MeV_u : float
            Kinetic energy per nucleon in vacuum.

        Raises
        ------
        LibraryError
            If the library does not reach so far.
        """
        arrays, energies = self.arrays, self.arrays.energy_MeV_u
        if not energies[0] - 1e-6 <= energy_MeV_u <= energies[-1] + 1e-6:
            raise LibraryError(
                f"{self.path or 'beam library'}: has no {self.ion.name} of {energy_MeV_u:g} MeV/u; its "
                f"energies lie from {energies[0]:g} to {energies[-1]:g} MeV/u"
            )
        nearest = int(np.argmin(np.abs(energies - energy_MeV_u)))
        if abs(energies[nearest] - energy_MeV_u) < 1e-6:
            return self._mix(nearest, nearest, 0.0, energy_MeV_u)
        above = int(np.searchsorted(energies, energy_MeV_u))
        low, high = arrays.range_mm[above - 1], arrays.range_mm[above]
        share = (float(self._range_of(energy_MeV_u)) - low) / (high - low)
        return self._mix(above - 1, above, share, energy_MeV_u)

    def with_thickness(self, thickness: Thickness) -> BeamLibrary:
        """Return all energies that reach the water behind something in the beam, as `Entry.with_thickness`.

        Raises
        ------
        OptionError
            If none does.
        """
        entries = [self.entry(energy) for energy in self.energy_MeV_u]
        reaching = [entry for entry in entries if entry.range_mm - thickness.mean_mm >= SHORTEST_mm]
        behind = [entry.with_thickness(thickness) for entry in reaching or entries[-1:]]
        return replace(self, arrays=stack(behind))

    def _mix(self, below: int, above: int, share: float, energy_MeV_u: float) -> Entry:
        mixed = {
            name: (1.0 - share) * array[below] + share * array[above]
            for name, array in zip(LibraryArrays._fields, self.arrays, strict=True)
        }
        for name in ("range_mm", "sigma_mm"):
            mixed[name] = float(mixed[name])
        mixed["energy_MeV_u"] = float(energy_MeV_u)
        return Entry(ion=self.ion, areas=self.areas, letd_groups=self.letd_groups, **mixed)


def stack(entries: Sequence[Entry]) -> LibraryArrays:
    """Join entries in ascending order of energy."""
    return LibraryArrays(
        **{name: np.array([getattr(entry, name) for entry in entries]) for name in LibraryArrays._fields}
    )


def _at_surface(entry: Entry, values: Floats) -> float:
    """Dose at the surface, on a straight line through the first bins: noise of two would be doubled there."""
    depth, dose = entry.depth_mm[:SURFACE_BINS], values[:SURFACE_BINS]
    off = depth - depth.mean()
    return float(dose.mean() - depth.mean() * (off @ dose) / (off @ off))


def _between_planes(entry: Entry, depth_mm: Floats) -> Floats:
    """Spectra at depths of shape (n,): shape (n, 10, n_bins)."""
    planes = entry.plane_mm
    above = np.clip(np.searchsorted(planes, depth_mm), 1, len(planes) - 1)
    share = np.clip((depth_mm - planes[above - 1]) / (planes[above] - planes[above - 1]), 0.0, 1.0)
    share = share[:, None, None]
    mixed: Floats = (1.0 - share) * entry.spectrum[above - 1] + share * entry.spectrum[above]
    return mixed
