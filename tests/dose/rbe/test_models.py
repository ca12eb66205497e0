"""Models of RBE by name and from files, and their part in the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.dose.rbe import NAMES, ConstantRbe, LetdModel, Mkm, TableModel, rbe_model
from spotline.dose.rbe.models import LETD_MODELS
from spotline.errors import DoseError
from spotline.physics.ions import CARBON, PROTON
from tests.dose.rbe.entries import entry_of
from tests.dose.rbe.test_table import TABLE, TRIP98


def test_models_have_names() -> None:
    assert rbe_model("constant") == ConstantRbe()
    assert rbe_model("mkm") == Mkm()
    for name in LETD_MODELS:
        model = rbe_model(name, 3.0)
        assert isinstance(model, LetdModel)
        assert model.name == name
        assert model.tissue.alpha_beta_Gy == 3.0
    assert set(NAMES) == {"constant", "mkm", "mkm-low-let", *LETD_MODELS}


@pytest.mark.parametrize("name", NAMES)
def test_every_model_goes_from_an_entry_to_dose(name: str) -> None:
    model = rbe_model(name, 3.0 if name in LETD_MODELS else None)
    quantities = model.quantities(entry_of(CARBON if name == "mkm" else PROTON, 120.0))
    depth = np.linspace(0.0, 130.0, 50)
    at = quantities(depth)
    assert at.shape == (50, model.number)
    dose = np.full((5, 10), 2.0)
    effective = model.effective_dose(dose, (dose.reshape(-1, 1) * at).reshape(5, 10, -1), fractions=1)
    assert effective.shape == (5, 10)
    assert np.all((effective > 1.5) & (effective < 12.0))


def test_models_that_depend_on_letd_need_a_tissue_and_others_have_theirs() -> None:
    with pytest.raises(DoseError, match="needs alpha/beta of the tissue"):
        rbe_model("wedenberg")
    for name in ("constant", "mkm", "mkm-low-let"):
        with pytest.raises(DoseError, match="has its own tissue"):
            rbe_model(name, 3.0)


def test_unknown_names_bring_a_hint() -> None:
    with pytest.raises(DoseError, match="no RBE model 'wedenburg': did you mean 'wedenberg'"):
        rbe_model("wedenburg")


def test_models_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    file.write_text('model = "mkm"\nalpha_0_per_Gy = 0.15\nbeta_per_Gy2 = 0.0593\n')
    assert rbe_model(str(file)) == Mkm(alpha_0_per_Gy=0.15, beta_per_Gy2=0.0593)
    file.write_text('model = "constant"\nrbe = 3\nion = "carbon"\n')
    assert rbe_model(str(file)) == ConstantRbe(3, "carbon")
    file.write_text('model = "mcnamara"\nalpha_beta_Gy = 10\n')
    assert rbe_model(str(file)) == rbe_model("mcnamara", 10.0)
    # A table lies beside the file that names it.
    (tmp_path / "cells.csv").write_text(TABLE)
    file.write_text(
        'model = "table"\nfile = "cells.csv"\nphoton_alpha_per_Gy = 0.1\nphoton_beta_per_Gy2 = 0.05\n'
    )
    model = rbe_model(str(file))
    assert isinstance(model, TableModel)
    assert model.tissue.alpha_beta_Gy == 2.0
    trip98 = tmp_path / "cells.rbe"
    trip98.write_text(TRIP98)
    assert isinstance(rbe_model(str(trip98)), TableModel)
    with pytest.raises(DoseError, match="has its own tissue"):
        rbe_model(str(trip98), 2.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model =", "cannot be read"),
        ("rbe = 1.1", "model = None; say which one it is: constant"),
        ('model = "lem"', "model = 'lem'; say which one"),
        ('model = "mkm"\nalpha_per_Gy = 0.1', "mkm has no 'alpha_per_Gy': did you mean 'alpha_0_per_Gy'"),
        ('model = "mkm"\nalpha_0_per_Gy = "0.1"', "alpha_0_per_Gy = '0.1'; give a number"),
        ('model = "mkm"\nalpha_0_per_Gy = true', "alpha_0_per_Gy = True; give a number"),
        ('model = "constant"\nion = 6', "ion = 6; give a text"),
        ('model = "wedenberg"', "wedenberg needs alpha_beta_Gy"),
        ('model = "table"\nfile = "x.csv"', "table needs photon_alpha_per_Gy"),
        ('model = "mkm"\nbeta_per_Gy2 = -1', "beta_per_Gy2 of -1"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "model.toml"
    file.write_text(content)
    with pytest.raises(DoseError, match=message):
        rbe_model(str(file))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("none.toml", "none.rbe"):
        with pytest.raises(DoseError, match="cannot be read"):
            rbe_model(str(tmp_path / name))


def test_carbon_is_more_effective_in_its_peak_than_before_it() -> None:
    model = rbe_model("mkm")
    entry = entry_of(CARBON, 200.0)
    at = model.quantities(entry)(np.array([1.0, 0.9 * entry.range_mm, entry.range_mm]))
    dose = np.full(3, 1.0)
    effective = model.effective_dose(dose, dose[:, None] * at)
    assert 1.0 < effective[0] < effective[1]
    assert effective[2] > 1.5 * effective[0]
