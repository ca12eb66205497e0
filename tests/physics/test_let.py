"""LET of single ions and of mixed fields."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.errors import OptionError
from spotline.physics.ions import CARBON, PROTON
from spotline.physics.let import average_let, let_keV_um
from spotline.physics.materials import AIR


def test_published():
    """ICRU 90: 10 MeV protons in water 4.53 keV/um; 100 MeV/u carbon 26.03 keV/um."""
    assert float(let_keV_um(PROTON, 10.0, excitation_eV=78.0)) == pytest.approx(4.532, rel=1e-3)
    assert float(let_keV_um(CARBON, 100.0, excitation_eV=78.0)) == pytest.approx(26.031, rel=1e-3)
    assert float(let_keV_um(CARBON, 100.0, AIR)) < 0.04, "per length of a gas"


def test_one_energy_has_one_let():
    average = average_let([(CARBON, [100.0], [3.0])])
    single = float(let_keV_um(CARBON, 100.0))
    assert (average.track_keV_um, average.dose_keV_um) == pytest.approx((single, single))


def test_mixed_field():
    carbon, proton = float(let_keV_um(CARBON, 100.0)), let_keV_um(PROTON, [20.0, 60.0])
    average = average_let([(CARBON, [100.0], [1.0]), (PROTON, [20.0, 60.0], [2.0, 4.0])])
    first = carbon + 2.0 * proton[0] + 4.0 * proton[1]
    second = carbon**2 + 2.0 * proton[0] ** 2 + 4.0 * proton[1] ** 2
    assert average.track_keV_um == pytest.approx(first / 7.0)
    assert average.dose_keV_um == pytest.approx(second / first)
    assert average.dose_keV_um > average.track_keV_um


@pytest.mark.parametrize(
    ("fluence", "what"),
    [([1.0], "2 energies and 1 fluences"), ([1.0, -1.0], "negative"), ([1.0, np.nan], "no number")],
)
def test_impossible_spectra(fluence: list[float], what: str):
    with pytest.raises(OptionError, match=what):
        average_let([(PROTON, [10.0, 20.0], fluence)])


def test_no_ions_at_all():
    with pytest.raises(OptionError, match="without ions"):
        average_let([(PROTON, [10.0], [0.0])])
