"""A Gaussian beam in one plane: widths of position and angle, and how they go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats


@dataclass(frozen=True, slots=True)
class PhaseSpace:
    """A Gaussian beam in one plane: floats, or arrays of one shape (for instance one value per energy).

    Attributes
    ----------
    sigma_mm : float or ndarray
        Standard deviation of the position.
    divergence_mrad : float or ndarray
        Standard deviation of the angle.
    covariance_mm_mrad : float or ndarray
        Of position and angle: above 0 where the beam diverges, below 0 where it converges.
    """

    sigma_mm: Floats | float
    divergence_mrad: Floats | float
    covariance_mm_mrad: Floats | float = 0.0

    @property
    def emittance_mm_mrad(self) -> Floats:
        """RMS emittance, the area of the ellipse over pi; vacuum conserves it (Liouville)."""
        squared = (np.asarray(self.sigma_mm) * self.divergence_mrad) ** 2 - np.square(self.covariance_mm_mrad)
        return np.sqrt(np.maximum(squared, 0.0))

    def drift(self, distance_mm: ArrayLike) -> PhaseSpace:
        """The same beam a distance downstream in vacuum; a negative one goes upstream."""
        way_m = np.asarray(distance_mm, dtype=float) / 1000.0
        variance = (
            np.square(self.sigma_mm)
            + 2.0 * np.asarray(self.covariance_mm_mrad) * way_m
            + np.square(self.divergence_mrad) * way_m**2
        )
        covariance = self.covariance_mm_mrad + np.square(self.divergence_mrad) * way_m
        divergence = np.broadcast_to(np.asarray(self.divergence_mrad, dtype=float), np.shape(covariance))
        return PhaseSpace(np.sqrt(np.maximum(variance, 0.0)), divergence, covariance)
