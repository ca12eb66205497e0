"""What a record keeps beside its measurements: its beam line, the copy of its plan, hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from spotline.errors import RecordError
from spotline.record.delivery_file import NAME, PLANS, read_delivery
from spotline.record.model import Record


def beamline_of(record: Record) -> str:
    """Name of the beam line that delivered, or its path if it was none of the shipped ones.

    Raises
    ------
    RecordError
        If nothing was delivered, so that nothing tells.
    """
    if (record.path / NAME).exists():
        delivery = read_delivery(record.path)
        return delivery.beamline_path or delivery.beamline
    if not record.fields:
        raise RecordError(
            f"{record.path}: no field was delivered, so nothing tells its beam line; leave this record out"
        )
    return record.fields[0].facts.beamline


def plan_file(record: Record) -> Path | None:
    """The copy of the plan that a delivery keeps; None if there is none."""
    if not (record.path / NAME).exists():
        return None
    name = read_delivery(record.path).plan
    path = record.path / PLANS / str(name)
    return path if name is not None and path.exists() else None


def sha256_of(record: Record) -> str:
    """Hash of the treatment files and the spill files."""
    digest = hashlib.sha256()
    for field in record.fields:
        for file in [*sorted(field.path.glob("*.h5")), *sorted(field.path.glob("spills/*.h5"))]:
            digest.update(f"{field.path.name}/{file.name}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
