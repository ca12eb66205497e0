"""The thickness of a nozzle comes out of depths that were made with it."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.errors import LibraryError
from spotline.machine.library.modifiers import slab
from spotline.machine.library.nozzle import calibrate_nozzle
from tests.machine.library.fakes import fake_library

ENERGIES = (115.23, 221.45, 398.84)


def test_known_thickness_is_found():
    library = fake_library("carbon", *ENERGIES)
    depths = [library.entry(e).with_thickness(slab(3.1)).ranges().peak_mm for e in ENERGIES]
    fit = calibrate_nozzle(library, ENERGIES, np.add(depths, [0.02, -0.04, 0.02]))
    assert fit.nozzle_mm == pytest.approx(3.1, abs=0.01)
    np.testing.assert_allclose(fit.residual_mm, [-0.02, 0.04, -0.02], atol=0.012)
    np.testing.assert_array_equal(fit.energy_MeV_u, ENERGIES)


def test_depths_that_cannot_be():
    with pytest.raises(LibraryError, match=r"peaks lie .* mm deeper than the beam reaches in water"):
        calibrate_nozzle(fake_library("carbon", *ENERGIES), ENERGIES, (40.0, 120.0, 290.0))
