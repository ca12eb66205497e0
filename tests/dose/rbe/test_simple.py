"""Constant RBE, and the models of protons that depend on LETd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spotline.dose.rbe.effect import Tissue
from spotline.dose.rbe.simple import ConstantRbe, LetdModel, carabe, mcnamara, wedenberg
from spotline.errors import DoseError
from spotline.physics.ions import CARBON, PROTON
from tests.dose.rbe.entries import entry_of

LETD = [wedenberg, mcnamara, carabe]


def rbe(model: LetdModel, dose_Gy: float, letd_keV_um: float) -> float:
    weighted = dose_Gy * model.coefficients(np.array([letd_keV_um]))
    return float(model.effective_dose(np.array([dose_Gy]), weighted)[0]) / dose_Gy


def test_a_constant_multiplies_dose() -> None:
    model = ConstantRbe()
    quantities = model.quantities(entry_of(PROTON, 100.0))(np.array([1.0, 2.0]))
    assert quantities.shape == (2, 0)
    np.testing.assert_allclose(model.effective_dose(np.array([0.0, 2.0]), quantities, 5), [0.0, 2.2])


def test_a_constant_is_for_one_ion() -> None:
    with pytest.raises(DoseError, match="is for protons and the beam is carbon"):
        ConstantRbe().quantities(entry_of(CARBON, 100.0))
    ConstantRbe(3.0, "carbon").quantities(entry_of(CARBON, 100.0))
    with pytest.raises(DoseError, match="above 0"):
        ConstantRbe(0.0)


# Worked out by hand with the coefficients as published.
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (wedenberg, (1.0 + 0.434 * 5.0 / 2.0, 1.0)),
        (mcnamara, (0.99064 + 0.35605 * 5.0 / 2.0, 1.1012 - 0.0038703 * 2.0**0.5 * 5.0)),
        (carabe, (0.843 + 0.154 * 2.686 / 2.0 * 5.0, 1.09 + 0.006 * 2.686 / 2.0 * 5.0)),
    ],
)
def test_coefficients_are_those_published(
    made: Callable[[Tissue], LetdModel], expected: tuple[float, float]
) -> None:
    np.testing.assert_allclose(made(Tissue(2.0)).coefficients(np.array([5.0])), [expected])


def test_protons_without_let_are_photons_to_wedenberg() -> None:
    for dose in (0.1, 2.0, 20.0):
        assert rbe(wedenberg(Tissue(3.0)), dose, 0.0) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("made", LETD)
def test_rbe_of_a_fraction_grows_with_let_and_falls_with_alpha_beta(
    made: Callable[[Tissue], LetdModel],
) -> None:
    for ratio in (2.0, 10.0):
        values = [rbe(made(Tissue(ratio)), 2.0, let) for let in (1.0, 3.0, 6.0, 12.0)]
        assert values == sorted(values)
    assert rbe(made(Tissue(2.0)), 2.0, 6.0) > rbe(made(Tissue(10.0)), 2.0, 6.0)


def test_large_let_does_not_turn_the_effect_of_large_doses_round() -> None:
    coefficients = mcnamara(Tissue(10.0)).coefficients(np.array([20.0, 90.0, 400.0]))
    assert coefficients[0, 1] > 0.0
    np.testing.assert_array_equal(coefficients[1:, 1], 0.0)


@pytest.mark.parametrize("made", LETD)
def test_letd_comes_from_the_library(made: Callable[[Tissue], LetdModel]) -> None:
    model, entry = made(Tissue(3.0)), entry_of(PROTON, 100.0)
    depth = np.array([0.3, 40.0, entry.range_mm])
    np.testing.assert_allclose(model.quantities(entry)(depth), model.coefficients(entry.letd(depth)))
    with pytest.raises(DoseError, match="is for protons"):
        model.quantities(entry_of(CARBON, 100.0))


def test_sums_of_another_model_are_refused() -> None:
    dose = np.ones((4, 5))
    with pytest.raises(DoseError, match="needs 2 sums per voxel"):
        wedenberg(Tissue(2.0)).effective_dose(dose, np.ones((4, 5, 3)))
    with pytest.raises(DoseError, match="needs 0 sums per voxel"):
        ConstantRbe().effective_dose(dose, np.ones((4, 5, 2)))
    with pytest.raises(DoseError, match="give 1 or more"):
        wedenberg(Tissue(2.0)).effective_dose(dose, np.ones((4, 5, 2)), fractions=0)
