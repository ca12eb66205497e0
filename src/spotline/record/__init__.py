"""What was delivered: treatment, spill and log files, and the arrays read back from them.

May know treatments, plans and the room whose blocks it keeps, and nothing of simulation.  Known to dose,
DICOM, planning, delivery, campaigns and faces.
"""

from __future__ import annotations

from spotline.record.model import FieldRecord, Record
from spotline.record.prescribed import prescribed_spots
from spotline.record.read import open_record

__all__ = ["FieldRecord", "Record", "open_record", "prescribed_spots"]
