"""The models of RBE by name, and from files."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from spotline.arrays import Floats
from spotline.dose.rbe.effect import Tissue
from spotline.dose.rbe.mkm import LOW_LET, Mkm, low_let_mkm
from spotline.dose.rbe.simple import ConstantRbe, LetdModel, carabe, mcnamara, wedenberg
from spotline.dose.rbe.table import read_csv_table, read_trip98_rbe
from spotline.errors import DoseError
from spotline.machine.library import Entry
from spotline.tables import closest


class RbeModel(Protocol):
    """What every model of RBE can do.

    Beams of several energies, fields and ions are mixed by sums: of dose, and of dose times each quantity.
    """

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def number(self) -> int:
        """How many quantities are summed."""

    def quantities(self, entry: Entry) -> Callable[[Floats], Floats]:
        """Return a function that gives the quantities at depths of shape (m,) in mm: shape (m, number)."""

    def effective_dose(self, dose_Gy: Floats, weighted: Floats, fractions: int = 1) -> Floats:
        """Turn sums into RBE-weighted dose in Gy (RBE).

        Parameters
        ----------
        dose_Gy : ndarray
            Physical dose of all fractions, any shape.
        weighted : ndarray
            Dose times each quantity: the shape of `dose_Gy` and (number,).
        fractions : int
            Number of equal fractions that the dose is given in.
        """


LETD_MODELS: dict[str, Callable[[Tissue], LetdModel]] = {
    "wedenberg": wedenberg,
    "mcnamara": mcnamara,
    "carabe": carabe,
}
OWN_TISSUE: dict[str, Callable[[], RbeModel]] = {"constant": ConstantRbe, "mkm": Mkm, LOW_LET: low_let_mkm}
NAMES = ("constant", *LETD_MODELS, "mkm", LOW_LET)
"""Models that need no file."""

TABLE_KEYS = ("file", "photon_alpha_per_Gy", "photon_beta_per_Gy2")
KEYS: dict[str, tuple[str, ...]] = {
    "constant": ("rbe", "ion"),
    **dict.fromkeys(LETD_MODELS, ("alpha_beta_Gy",)),
    "mkm": tuple(field.name for field in fields(Mkm) if field.name != "name"),
    "table": TABLE_KEYS,
}
"""What a file may say of a model, besides its name."""
TEXTS = ("ion", "file")


def rbe_model(name: str, alpha_beta_Gy: float | None = None) -> RbeModel:
    """Find a model by its name or its file.

    Parameters
    ----------
    name : str
        One of `NAMES`, or the path of a TOML file that says ``model = "mkm"`` and its figures, or of an RBE
        table of TRiP98 (``.rbe``).
    alpha_beta_Gy : float, optional
        Of photons on the tissue, for the models that depend on LETd.

    Raises
    ------
    DoseError
        If there is no such model, or what it needs is missing.
    """
    path = Path(name)
    if path.suffix.lower() == ".rbe":
        _refuse_ratio(name, alpha_beta_Gy)
        return read_trip98_rbe(path)
    if path.suffix.lower() == ".toml":
        _refuse_ratio(name, alpha_beta_Gy)
        return _from_toml(path)
    if name in LETD_MODELS:
        if alpha_beta_Gy is None:
            raise DoseError(f"RBE model {name}: needs alpha/beta of the tissue in Gy, such as 2 or 10")
        return LETD_MODELS[name](Tissue(alpha_beta_Gy))
    if name not in NAMES:
        raise DoseError(
            f"there is no RBE model {name!r}: {closest(name, NAMES)}; or give a TOML file or a table of "
            "TRiP98 (.rbe)"
        )
    _refuse_ratio(name, alpha_beta_Gy)
    return OWN_TISSUE[name]()


def _refuse_ratio(name: str, alpha_beta_Gy: float | None) -> None:
    if alpha_beta_Gy is not None:
        raise DoseError(f"RBE model {name}: has its own tissue; leave alpha/beta away")


def _from_toml(path: Path) -> RbeModel:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DoseError(f"{path}: cannot be read ({error}); give a TOML file") from None
    model = content.pop("model", None)
    if model not in KEYS:
        known = ", ".join(KEYS)
        raise DoseError(f"{path}: model = {model!r}; say which one it is: {known}")
    for key, value in content.items():
        if key not in KEYS[model]:
            raise DoseError(f"{path}: {model} has no {key!r}: {closest(key, KEYS[model])}")
        kind = str if key in TEXTS else (int, float)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DoseError(f"{path}: {key} = {value!r}; give a {'text' if key in TEXTS else 'number'}")
    required = TABLE_KEYS if model == "table" else ("alpha_beta_Gy",) if model in LETD_MODELS else ()
    for key in required:
        if key not in content:
            raise DoseError(f"{path}: {model} needs {key}; add it")
    return _made(path, model, content)


def _made(path: Path, model: str, content: Mapping[str, Any]) -> RbeModel:
    if model == "mkm":
        return Mkm(**content)
    if model == "constant":
        return ConstantRbe(**content)
    if model == "table":
        photon = (float(content[key]) for key in TABLE_KEYS[1:])
        return read_csv_table(path.parent / content["file"], *photon)
    return LETD_MODELS[model](Tissue(float(content["alpha_beta_Gy"])))
