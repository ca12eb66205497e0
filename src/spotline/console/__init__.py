"""The treatment console: from a prepared treatment to the files that synchrotron and delivery start from."""

from __future__ import annotations

from spotline.console.open import open_preparation
from spotline.console.write import write_preparation

__all__ = ["open_preparation", "write_preparation"]
