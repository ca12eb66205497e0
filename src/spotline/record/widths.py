"""How wide the beam is at the isocentre, from what the chambers see of it; and means of such widths.

The beam line has the size of a spot at the chambers and at the isocentre.  What is wider at a chamber than
expected is taken to be so by something that adds in quadrature and goes on from there as the scanned beam
does, from its virtual source: ``sigma_iso^2 = expected_iso^2 + k^2 (sigma_chamber^2 - expected_chamber^2)``,
where k is the position at the isocentre per position at the chamber.  So the expected scattering between
chamber and isocentre is left as it is, and a beam whose angles changed but not its width at the chamber is
not noticed.
"""

from __future__ import annotations

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.record.model import Table
from spotline.treatment.treatment import Slice
from spotline.units import FWHM_PER_SIGMA


def sigma_iso_mm(
    sigma_chamber_mm: Floats,
    iso_per_chamber: float,
    fwhm_iso_mm: float,
    fwhm_chamber_mm: float,
) -> Floats:
    """Standard deviation of a beam at the isocentre, from that at a chamber.

    Parameters
    ----------
    sigma_chamber_mm : ndarray
        At the chamber.
    iso_per_chamber : float
        Position at the isocentre per position at the chamber.
    fwhm_iso_mm, fwhm_chamber_mm : float
        Size of the spot that is expected there.

    Returns
    -------
    ndarray
        Same shape; NaN where the chamber has none, where the line expects none, or where the beam is so much
        narrower than expected that nothing is left of it.
    """
    excess_mm2 = np.square(sigma_chamber_mm) - (fwhm_chamber_mm / FWHM_PER_SIGMA) ** 2
    square_mm2 = (fwhm_iso_mm / FWHM_PER_SIGMA) ** 2 + iso_per_chamber**2 * excess_mm2
    return np.sqrt(np.where(square_mm2 > 0.0, square_mm2, np.nan))


def error_iso_mm(
    error_chamber_mm: Floats, sigma_chamber_mm: Floats, sigma_mm: Floats, iso_per_chamber: float
) -> Floats:
    """Uncertainty of `sigma_iso_mm` that comes of that at the chamber."""
    error: Floats = iso_per_chamber**2 * sigma_chamber_mm * error_chamber_mm / sigma_mm
    return error


def widths_of_parts(
    parts: Table, chamber: str, slice_: Slice, iso_per_chamber: float
) -> tuple[Floats, Floats]:
    """Widths of parts of spots at the isocentre, and their uncertainty.

    Parameters
    ----------
    parts : Table
        Columns `spotline.control.memory.PART`, shape (n,).
    chamber : str
        Plane and chamber as those columns have them: ``x_strip``, ``y_strip``, ``x_pixel`` or ``y_pixel``.
    slice_ : Slice
        That they belong to; it has the expected sizes.
    iso_per_chamber : float
        As of `sigma_iso_mm`; NaN without the chamber.

    Returns
    -------
    sigma_mm, error_mm : ndarray, shape (n,)
        NaN where there is none.
    """
    plane = chamber[0]
    at_mm, error_mm = (parts[f"{chamber}_sd{what}_mm"] for what in ("", "_error"))
    expected_mm = getattr(slice_, f"fwhm_{plane}_mm"), getattr(slice_, f"fwhm_box_{plane}_mm")
    sigma_mm = sigma_iso_mm(at_mm, iso_per_chamber, *expected_mm)
    return sigma_mm, error_iso_mm(error_mm, at_mm, sigma_mm, iso_per_chamber)


def mean_widths(sigma_mm: Floats, error_mm: Floats, row: Integers, n_rows: int) -> tuple[Floats, Floats]:
    """Means of widths, weighted by their uncertainty.

    Parameters
    ----------
    sigma_mm, error_mm : ndarray, shape (n,)
        Widths and their uncertainty; NaN where there is none.
    row : ndarray of int, shape (n,)
        To which mean each belongs.
    n_rows : int

    Returns
    -------
    mean_mm, error_mm : ndarray, shape (n_rows,)
        NaN where there is no width.
    """
    known = np.isfinite(sigma_mm) & (error_mm > 0.0)
    weight = np.where(known, 1.0 / np.square(np.where(known, error_mm, 1.0)), 0.0)
    total = np.bincount(row, weight, n_rows)
    moment = np.bincount(row, weight * np.where(known, sigma_mm, 0.0), n_rows)
    some = total > 0.0
    safe = np.where(some, total, 1.0)
    return np.where(some, moment / safe, np.nan), np.where(some, 1.0 / np.sqrt(safe), np.nan)
