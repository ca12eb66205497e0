"""Tables of alpha and beta from files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from spotline.dose.rbe.effect import Tissue
from spotline.dose.rbe.table import read_csv_table, read_trip98_rbe
from spotline.errors import DoseError
from spotline.physics.ions import CARBON
from tests.dose.rbe.entries import entry_of

TABLE = """# made up
charge_number,energy_MeV_u,alpha_per_Gy,beta_per_Gy2
1,10.0,0.3,0.05
1,1000.0,0.2,0.05
6,1.0,1.0,0.0
6,100.0,0.5,0.2

"""

TRIP98 = """!filetype    RBE
!fileversion 20030417
!celltype    made up
# comment
!mean
!alpha 0.1
!beta  0.05
!cut   30
!rnucleus 5
!projectile 1H
!rbe
0.1 20
100.0 1.0
!projectile 12C
!rbe
1.0 40
10.0 30
1000.0 1.5
!projectile 20Ne
!rbe
1.0 35
!min
!projectile 12C
!rbe
1.0 1
"""


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_csv_tables_are_ratios_to_photons(tmp_path: Path) -> None:
    model = read_csv_table(written(tmp_path, "t.csv", TABLE), 0.1, 0.05)
    assert model.name == "t.csv"
    assert model.tissue == Tissue(2.0)
    # Straight in the logarithm of the energy, and constant beyond the ends.
    found = model.coefficients(6, np.array([0.5, 10.0, 500.0]))
    np.testing.assert_allclose(found, [[10.0, 0.0], [7.5, 1.0], [5.0, 2.0]])
    np.testing.assert_allclose(model.coefficients(1, np.array([100.0])), [[2.5, 1.0]])


def test_a_table_is_averaged_over_the_beam(tmp_path: Path) -> None:
    model = read_csv_table(written(tmp_path, "t.csv", TABLE), 0.1, 0.05)
    entry = entry_of(CARBON, 250.0, sigma_mm=0.05)
    at = model.quantities(entry)(np.array([20.0]))
    np.testing.assert_allclose(at, [[5.0, 2.0]], rtol=1e-6)
    dose = np.array([2.0])
    effect = 0.1 * 5.0 * 2.0 + 0.05 * (2.0 * 2.0) ** 2
    photons = (-0.1 + math.sqrt(0.01 + 4.0 * 0.05 * effect)) / 0.1
    np.testing.assert_allclose(model.effective_dose(dose, dose[:, None] * at), photons, rtol=1e-6)


def test_an_ion_of_the_beam_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    model = read_csv_table(written(tmp_path, "t.csv", TABLE), 0.1, 0.05)
    with pytest.raises(DoseError, match=r"t.csv: has no table of He, which is in the beam"):
        model.quantities(entry_of(CARBON, 250.0, fragments={2: (100.0, 0.1)}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "first line must name the columns"),
        ("charge_number,energy_MeV_u,alpha_per_Gy\n", "first line must name the columns"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,1.0,1.0"), "line 5: 3 cells"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,1.0,one,0.0"), "line 5, alpha_per_Gy: 'one' is no number"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,1.0,nan,0.0"), "line 5, alpha_per_Gy: 'nan' is no number"),
        (TABLE.replace("6,1.0,1.0,0.0", "6.5,1.0,1.0,0.0"), "line 5: charge_number 6.5; use 1 to 8"),
        (TABLE.replace("6,1.0,1.0,0.0", "9,1.0,1.0,0.0"), "line 5: charge_number 9; use 1 to 8"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,1.0,-1.0,0.0"), "line 5: alpha or beta is negative"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,100.0,1.0,0.0"), "energies of C do not ascend"),
        (TABLE.replace("6,1.0,1.0,0.0", "6,0.0,1.0,0.0"), "energies of C do not ascend from above 0"),
        ("charge_number,energy_MeV_u,alpha_per_Gy,beta_per_Gy2\n", "holds no figures"),
    ],
)
def test_bad_csv_tables_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DoseError, match=message):
        read_csv_table(written(tmp_path, "t.csv", content), 0.1, 0.05)


def test_photons_of_a_table_must_act(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", TABLE)
    with pytest.raises(DoseError, match="photon alpha of 0"):
        read_csv_table(path, 0.0, 0.05)
    with pytest.raises(DoseError, match="photon beta of -1"):
        read_csv_table(path, 0.1, -1.0)
    with pytest.raises(DoseError, match="cannot be read"):
        read_csv_table(tmp_path / "none.csv", 0.1, 0.05)


def test_tables_of_trip98_give_the_initial_rbe_and_the_cut(tmp_path: Path) -> None:
    model = read_trip98_rbe(written(tmp_path, "x.rbe", TRIP98))
    assert model.tissue == Tissue(2.0, 30.0)
    assert sorted(model.tables) == [1, 6]
    # beta = (s_max - alpha) / (2 D_cut), s_max = 0.1 + 2 x 0.05 x 30 = 3.1 /Gy: for RBE 30 of carbon
    # (3.1 - 3.0) / 60, for RBE 40 less than 0, for protons of RBE 1 that of photons.
    found = model.coefficients(6, np.array([1.0, 10.0]))
    np.testing.assert_allclose(found, [[40.0, 0.0], [30.0, math.sqrt(0.1 / 60.0 / 0.05)]], atol=1e-7)
    np.testing.assert_allclose(model.coefficients(1, np.array([100.0])), [[1.0, 1.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRIP98.replace("!alpha 0.1", "!alpha"), "line 6: !alpha without a number"),
        (TRIP98.replace("!alpha 0.1", "!alpha x"), "line 6, !alpha: 'x' is no number"),
        (TRIP98.replace("!cut   30", ""), "no !cut above 0"),
        (TRIP98.replace("!beta  0.05", "!beta 0"), "no !beta above 0"),
        (TRIP98.replace("!projectile 1H", ""), "line 11: !rbe without a !projectile"),
        (TRIP98.replace("!projectile 12C", "!projectile"), "line 14: !projectile without an element"),
        (TRIP98.replace("0.1 20", "0.1"), "line 12: one number"),
        (TRIP98.replace("0.1 20", "0.1 -2"), "line 12: RBE of -2"),
        (TRIP98.replace("0.1 20", "0.1 x"), "line 12, !rbe: 'x' is no number"),
        (TRIP98.replace("10.0 30", "0.5 30"), "energies of C do not ascend"),
        ("!alpha 0.1\n!beta 0.05\n!cut 30\n", "holds no figures"),
    ],
)
def test_bad_tables_of_trip98_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DoseError, match=message):
        read_trip98_rbe(written(tmp_path, "x.rbe", content))
