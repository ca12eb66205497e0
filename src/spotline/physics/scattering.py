"""Multiple Coulomb scattering of ions in thin layers."""

from __future__ import annotations

import math

from spotline.physics.ions import Ion
from spotline.physics.materials import Material


def highland_angle_mrad(ion: Ion, energy_MeV_u: float, material: Material, thickness_mm: float) -> float:
    """Projected standard deviation of the scattering angle behind a layer that stops little.

    ``theta_0 = 13.6 MeV / (p v) z sqrt(x/X_0) (1 + 0.038 ln(x/X_0))``: Highland, Nucl. Instrum. Methods
    129 (1975) 497, in the form of Lynch and Dahl, Nucl. Instrum. Methods B 58 (1991) 6.

    Parameters
    ----------
    ion : Ion
        The projectile.
    energy_MeV_u : float
        Its kinetic energy per nucleon.
    material : Material
        What it crosses.
    thickness_mm : float
        Thickness of the layer, above 0.
    """
    layers = thickness_mm / 10.0 * material.density_g_cm3 / material.radiation_length_g_cm2
    pv_MeV = ion.momentum_MeV_c(energy_MeV_u) * ion.beta(energy_MeV_u)
    return 13.6e3 / pv_MeV * ion.charge_number * math.sqrt(layers) * (1.0 + 0.038 * math.log(layers))
