"""Models of RBE summed over layers by the engine."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.arrays import Floats
from spotline.dose.engine.fluence import Spots
from spotline.dose.engine.pencil_beams import Divergence, Weighting, add_layer
from spotline.dose.engine.voxel_loop import Rays
from spotline.dose.rbe import Mkm, RbeModel, rbe_model
from spotline.machine.library import Entry
from spotline.physics.ions import CARBON, HELIUM, PROTON
from tests.dose.rbe.entries import entry_of

pytestmark = pytest.mark.kernel

DEPTH_mm = np.linspace(0.5, 70.0, 140)


def summed(model: RbeModel, layers: list[tuple[Entry, float]]) -> tuple[Floats, Floats]:
    """Dose and weighted sums on the axis of one broad spot per layer."""
    on_axis = np.zeros(len(DEPTH_mm), dtype=np.float32)
    rays = Rays(on_axis, on_axis, DEPTH_mm.astype(np.float32), on_axis)
    dose, weighted = np.zeros(len(DEPTH_mm)), np.zeros((len(DEPTH_mm), model.number))
    for entry, particles in layers:
        spots = Spots(*(np.array([value]) for value in (0.0, 0.0, particles, 20.0, 20.0)))
        parallel = Divergence(1e9, 1e9)
        add_layer(rays, entry, spots, parallel, dose, Weighting(weighted, model.quantities(entry)), threads=1)
    return dose, weighted


@pytest.mark.parametrize(("name", "ratio"), [("constant", None), ("wedenberg", 3.0), ("mkm-low-let", None)])
def test_a_layer_has_the_rbe_of_its_entry(name: str, ratio: float | None) -> None:
    model, entry = rbe_model(name, ratio), entry_of(PROTON, 90.0)
    dose, weighted = summed(model, [(entry, 1e9)])
    shown = dose > 0.01 * dose.max()
    at = model.quantities(entry)(DEPTH_mm)
    expected = model.effective_dose(dose, dose[:, None] * at)
    # The engine goes between depths that are 0.1 mm apart.
    found = model.effective_dose(dose, weighted)
    np.testing.assert_allclose(found[shown], expected[shown], rtol=5e-3)


def test_ions_mix_by_their_sums() -> None:
    model = Mkm()
    carbon, helium = (entry_of(CARBON, 150.0), 2e7), (entry_of(HELIUM, 90.0), 5e7)
    dose, weighted = summed(model, [carbon, helium])
    parts = [summed(model, [layer]) for layer in (carbon, helium)]
    np.testing.assert_allclose(weighted, parts[0][1] + parts[1][1], rtol=1e-9)
    mixed = model.effective_dose(dose, weighted)
    effect = model.tissue.alpha_beta_Gy * weighted[:, 0] + weighted[:, 1] ** 2
    np.testing.assert_allclose(mixed**2 + model.tissue.alpha_beta_Gy * mixed, effect, rtol=1e-9)
