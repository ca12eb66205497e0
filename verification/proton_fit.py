"""Fit the model of inelastic reactions of protons.

::

    python -m verification.proton_fit

Fits seven parameters to what ICRU Report 63 has for p + 16O, and to depth doses in water of five energies of
a reference library (even indices), by one step of Gauss and Newton after the other.  Elastic cross sections
are not fitted: left free, they came out within 1 % of what they are.  Nothing is written: what is printed
goes into `spotline.physics.proton_cascade` and `spotline.physics.proton_nuclear` by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spotline.arrays import Floats
from spotline.physics import proton_nuclear
from spotline.physics.materials import WATER
from spotline.physics.nuclei import INDEX, MASS_NUMBER
from spotline.physics.proton_cascade import PARAMETERS
from spotline.physics.proton_nuclear import react_proton, stacked
from spotline.physics.transport.products import NEUTRON, new_products
from spotline.random import begin_sequence
from verification.depth_dose import LIBRARIES, compare, read_library
from verification.figures import table
from verification.page import page_parser, put_page, say

SCALE = "inelastic scale"
FIRST: dict[str, tuple[float, float]] = {
    SCALE: (0.947, 0.05),
    "escape": (0.806, 0.15),
    "escape_energy_MeV": (14.2, 0.3),
    "hole_MeV": (5.3, 0.3),
    "pickup": (0.12, 0.4),
    "alpha": (1.8, 0.4),
    "separation_MeV": (6.5, 0.2),
}
"""First estimates, and how far (in the logarithm) the fit may easily go from them: not everything is
determined by the data."""

# ICRU Report 63 (2000), p + 16O: number of protons above 2.5 MeV, and shares of the energy that these,
# deuterons above 2.5 MeV and alphas above 8 MeV take.
ICRU_63 = {
    50.0: (1.091, 0.388, 0.072, 0.046),
    100.0: (1.577, 0.437, 0.095, 0.045),
    150.0: (1.897, 0.479, 0.102, 0.042),
    200.0: (2.104, 0.502, 0.105, 0.040),
}
ICRU_63_ERRORS = np.array([0.2, 0.08, 0.2, 0.2])
"""Relative, as weights."""
DEPTH_DOSE_ERRORS = {"plateau": 0.004, "peak": 0.007, "fwhm": 0.02, "r80_mm": 0.04, "width_mm": 0.04}
STEP = -0.15
"""For derivatives, in the logarithm."""


def set_parameters(values: Mapping[str, float]) -> None:
    """Let the model have these parameters, in this process."""
    PARAMETERS.update({name: value for name, value in values.items() if name != SCALE})
    proton_nuclear.INELASTIC_SCALE = values[SCALE]


def residuals_to_spectra(reactions: int) -> Floats:
    """What the model makes of oxygen against `ICRU_63`, over the errors."""
    tables, products, rng = stacked([WATER]), new_products(), np.zeros(1, dtype=np.uint64)
    inelastic = np.zeros_like(tables.cumulative)
    inelastic[..., 3:] = 1.0  # on oxygen, the second element of water
    tables = tables._replace(cumulative=inelastic)
    found = []
    for energy_MeV, expected in ICRU_63.items():
        begin_sequence(rng, 1, int(energy_MeV))
        sums = np.zeros(4)
        for _ in range(reactions):
            count, _ = react_proton(tables, 0, energy_MeV, rng, products)
            species = products.species[:count]
            kinetic = products.energy_MeV_u[:count] * np.where(species == NEUTRON, 1, MASS_NUMBER[species])
            sums[0] += np.count_nonzero(species == INDEX["1H"])
            for column, symbol in enumerate(("1H", "2H", "4He"), start=1):
                sums[column] += kinetic[species == INDEX[symbol]].sum() / energy_MeV
        found.append((sums / reactions / expected - 1.0) / ICRU_63_ERRORS)
    return np.concatenate(found)


def residuals_to_depth_doses(primaries: int) -> Floats:
    """Deviations of depth doses over `DEPTH_DOSE_ERRORS`, at five even energies from 98 MeV up."""
    library = LIBRARIES["proton"]
    energies = list(read_library(library))[4:20:4] + list(read_library(library))[18:19]
    rows = []
    for c in compare(library, energies, primaries=primaries):
        rows.append(c.plateau / DEPTH_DOSE_ERRORS["plateau"])
        single = ("peak", "fwhm", "r80_mm", "width_mm")
        rows.append(np.array([getattr(c, name) / DEPTH_DOSE_ERRORS[name] for name in single]))
    return np.concatenate(rows)


def fit(
    start: Mapping[str, float], steps: int, primaries: int, reactions: int
) -> tuple[dict[str, float], str]:
    """Fit all parameters; return them, and a word on how good they are."""
    names = list(FIRST)
    first = np.log([FIRST[name][0] for name in names])
    widths = np.array([FIRST[name][1] for name in names])

    def residuals(logarithms: Floats) -> Floats:
        set_parameters(dict(zip(names, np.exp(logarithms).tolist(), strict=True)))
        return np.concatenate([residuals_to_depth_doses(primaries), residuals_to_spectra(reactions)])

    x = np.log([start[name] for name in names])
    for step in range(steps):
        say(f"step {step + 1} of {steps}")
        here = residuals(x)
        slopes = np.array([(residuals(x + STEP * axis) - here) / STEP for axis in np.eye(len(names))]).T
        # First estimates are data like the others.
        matrix = np.vstack([slopes, np.diag(1.0 / widths)])
        x = x + np.clip(np.linalg.lstsq(matrix, -np.concatenate([here, (x - first) / widths]))[0], -0.5, 0.5)
    last = residuals(x)
    doses, spectra = last[: -4 * len(ICRU_63)], last[-4 * len(ICRU_63) :]
    word = (
        f"root mean square of the deviations over their errors: {np.sqrt(np.mean(doses**2)):.2f} (depth "
        f"doses), {np.sqrt(np.mean(spectra**2)):.2f} (spectra)"
    )
    return dict(zip(names, np.exp(x).tolist(), strict=True)), word


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit from the present parameters, and print."""
    parser = page_parser("python -m verification.proton_fit", __doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1, help="steps of the fit; 0: judge what there is")
    parser.add_argument("--primaries", type=int, default=40_000, help="per energy and evaluation")
    parser.add_argument("--reactions", type=int, default=10_000, help="per energy and evaluation")
    asked = parser.parse_args(arguments)
    present = {name: PARAMETERS.get(name, proton_nuclear.INELASTIC_SCALE) for name in FIRST}
    fitted, word = fit(present, asked.steps, asked.primaries, asked.reactions)
    rows = [(n, f"{FIRST[n][0]:g}", f"{present[n]:.4g}", f"{fitted[n]:.4g}") for n in FIRST]
    put_page([table(("parameter", "first", "present", "fitted"), rows), word], asked.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
