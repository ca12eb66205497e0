"""What a beam library says of itself, and what is shown of it, as types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from spotline.machine.library.letd import LETD_GROUPS


class LateralResidual(Struct, frozen=True, kw_only=True):
    """How far the fitted lateral shapes are from the simulated ones: mean and largest part."""

    mean: float
    largest: float


class ScoredArea(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An area in which a library has depth doses beside the field: a disc, a square, or what both have."""

    name: str
    radius_mm: float | None = None
    half_width_mm: float | None = None


class LibraryHeader(Struct, frozen=True, kw_only=True):
    """Header of a beam library; see docs/reference/beam-library.md.

    Attributes
    ----------
    ion : str
    momentum_spread_percent : float
        Full width at half maximum; NaN if whoever made it by hand did not say.
    areas : tuple of ScoredArea
        In the order of their depth doses.
    letd_groups : tuple of str
        Of which particles there is LETd, in that order.
    primaries : int or None
        Of each energy; None if no simulation made it.
    made : str
        When (ISO 8601).
    physics_sha256 : str
        Hash of the sources on which the figures depend.
    lost : int
        Particles that the simulation gave up.
    """

    ion: str
    momentum_spread_percent: float = math.nan
    beamline: str = ""
    areas: tuple[ScoredArea, ...] = ()
    letd_groups: tuple[str, ...] = LETD_GROUPS
    mean_excitation_eV: float | None = None
    primaries: int | None = None
    seed: int | None = None
    made: str = ""
    command: str = ""
    versions: dict[str, str] = {}
    physics_sha256: str = ""
    lateral_residual: LateralResidual | None = None
    lost: int | None = None


class EnergyFigures(Struct, frozen=True, kw_only=True):
    """Figures of one energy, as of `spotline.machine.library.curve.Ranges`; None where there is none."""

    energy_MeV_u: float | None
    nominal_depth_mm: float | None
    peak_mm: float | None
    peak_MeV_cm2_g: float | None
    R90_mm: float | None
    R80_mm: float | None
    R50_mm: float | None
    R20_mm: float | None
    R10_mm: float | None
    FWHM_mm: float | None
    W80_mm: float | None
    distal_80_20_mm: float | None
    entrance_MeV_cm2_g: float | None


class DepthFigures(Struct, frozen=True, kw_only=True):
    """Dose, LET and lateral shape of one energy at a depth; LET is that of ``letd_of`` of the library."""

    depth_mm: float
    dose_MeV_cm2_g: float
    letd_keV_um: float
    core_mm: float
    halo_mm: float
    halo_share: float
    wide_halo_mm: float
    wide_halo_share: float


class LibraryFigures(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A library seen through a line, as ``spotline library show --json`` prints it.

    Attributes
    ----------
    library : str or None
        Name of its file.
    mounted : tuple of str
        In the beam.
    thickness_mm : float
        Of water that lies before.
    letd_of : str
        Of which particles LETd is where nothing else is said.
    made_with : mapping of str to object
        Its header by key, as it stands in the file.
    depths, curve : optional
        If one energy was asked for; the curve by its columns: depth, dose in the field and in each area, its
        error, LETd, and LETd of each group of particles.
    """

    beamline: str
    ion: str
    library: str | None
    mounted: tuple[str, ...]
    thickness_mm: float
    letd_of: str
    made_with: Mapping[str, Any]
    energies: tuple[EnergyFigures, ...]
    depths: tuple[DepthFigures, ...] = ()
    curve: Mapping[str, tuple[float, ...]] | None = None
