"""The treatment console: from a prepared treatment to the files that accelerator and delivery start from.

May know treatments and DICOM, as all of planning.  Known to who opens what it wrote.
"""

from __future__ import annotations

from spotline.planning.prepared.open import open_preparation
from spotline.planning.prepared.write import write_preparation

__all__ = ["open_preparation", "write_preparation"]
