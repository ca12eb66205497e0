"""Models of relative biological effectiveness (RBE), for research only.

`rbe_model` finds one by name or file; docs/explanation/rbe.md has formulas, sources and validity.

May know physics and the spectra of beam libraries.  Known to the engine, and to who chooses a model.
"""

from spotline.dose.rbe.effect import Tissue
from spotline.dose.rbe.mkm import Mkm
from spotline.dose.rbe.models import NAMES, RbeModel, rbe_model
from spotline.dose.rbe.simple import ConstantRbe, LetdModel
from spotline.dose.rbe.table import TableModel

__all__ = ["NAMES", "ConstantRbe", "LetdModel", "Mkm", "RbeModel", "TableModel", "Tissue", "rbe_model"]
