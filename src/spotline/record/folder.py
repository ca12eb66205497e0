"""Names in the folder of a record."""

from __future__ import annotations

SUMMARY = "summary.json"
STATUS = "status.json"
LOCK = "delivery.lock"
"""Made before anything else, never replaced; who delivers or gives up has a lock on it."""
CONTINUATION = "continuation.dcm"
"""Copy of the plan that the rest of the delivery was given up for."""
TOP = (SUMMARY, STATUS, LOCK, CONTINUATION, "delivery.json")
"""Files beside the folders of the fields."""
# In the folder of a field.
FIELD_HEADER = "field.json"
DICOM_RECORD = "record.dcm"
