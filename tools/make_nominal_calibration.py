"""Write the calibration of Hounsfield units that comes with the package.

It belongs to no real scanner: the Hounsfield units of tissues are computed for a nominal one of 120 kV, and
their stopping powers relative to water for protons of 148.80 MeV, the energy that CNAO calibrates at.  That
is the stoichiometric method (Schneider, Pedroni and Lomax, Phys. Med. Biol. 41 (1996) 111) with published
parameters in the place of a measurement.  Running it again gives the same bytes.

    python tools/make_nominal_calibration.py
"""

from __future__ import annotations

from pathlib import Path

from spotline.dose.phantom import relative_stopping_power
from spotline.physics.elements import ELEMENTS
from spotline.physics.materials import (
    ADIPOSE,
    AIR,
    CORTICAL_BONE,
    LUNG,
    MUSCLE,
    SPONGY_BONE,
    WATER,
    Material,
)

PATH = Path(__file__).resolve().parents[1] / "src/spotline/dose/calibrations/nominal.toml"

# Attenuation by photoelectric effect and coherent scattering against that of free electrons, at 120 kV:
# Schneider, Bortfeld and Schlegel, Phys. Med. Biol. 45 (2000) 459, eq. 8.
K1, K2 = 1.24e-3, 3.06e-5

TISSUES = (AIR, LUNG, ADIPOSE, WATER, MUSCLE, SPONGY_BONE, CORTICAL_BONE)
LOWEST_HU = -1024.0
"""Scanners store this, or less, where there is nothing; it is air."""


def attenuation(material: Material) -> float:
    """Attenuation of X-rays, in units of no interest."""
    per_mass: float = sum(
        w / ELEMENTS[z].atomic_mass_u * (z + K1 * z**2.86 + K2 * z**4.62) for z, w in material.composition
    )
    return material.density_g_cm3 * per_mass


def hounsfield(material: Material) -> float:
    """Hounsfield units of a material in the nominal scanner."""
    return 1000.0 * (attenuation(material) / attenuation(WATER) - 1.0)


def text() -> str:
    """Content of the file."""
    rows = [(hounsfield(material), relative_stopping_power(material), material.name) for material in TISSUES]
    points = [f"    [{LOWEST_HU:.1f}, {rows[0][1]:.6f}],"]
    points += [f"    [{round(hu, 1) + 0.0:.1f}, {rsp:.6f}], # {name}" for hu, rsp, name in rows]
    lines = [
        "# Made by tools/make_nominal_calibration.py.",
        'name = "nominal (of no real scanner)"',
        'about = "tissues of ICRU 44, 120 kV, protons of 148.80 MeV: Schneider et al. 1996 and 2000"',
        f"valid_from_HU = {LOWEST_HU:.1f}",
        f"valid_to_HU = {round(rows[-1][0], 1):.1f} # cortical bone: metal is beyond it",
        'below = "clamp"',
        'above = "clamp"',
        "points = [",
        *points,
        "]",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
