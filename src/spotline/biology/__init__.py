"""Models of relative biological effectiveness (RBE), for research only.

`rbe_model` finds one by name or file; docs/explanation/rbe.md has formulas, sources and validity.
"""

from spotline.biology.effect import Tissue
from spotline.biology.mkm import Mkm
from spotline.biology.models import NAMES, RbeModel, rbe_model
from spotline.biology.simple import ConstantRbe, LetdModel
from spotline.biology.table import TableModel

__all__ = ["NAMES", "ConstantRbe", "LetdModel", "Mkm", "RbeModel", "TableModel", "Tissue", "rbe_model"]
