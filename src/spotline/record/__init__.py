"""What was delivered: treatment, spill and log files, and the arrays read back from them."""

from __future__ import annotations

from spotline.record.model import FieldRecord, Record
from spotline.record.prescribed import prescribed_spots
from spotline.record.read import open_record

__all__ = ["FieldRecord", "Record", "open_record", "prescribed_spots"]
