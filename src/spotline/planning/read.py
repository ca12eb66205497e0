"""Read a plan of any known format."""

from __future__ import annotations

import codecs
from pathlib import Path

from spotline.errors import PlanError
from spotline.plan.model import Plan
from spotline.planning.trip98 import read_rst

_EXPECTED = "give a DICOM RT Ion Plan (.dcm) or a TRiP98 raster scan file (.rst)"
_HEAD_BYTES = 256
_PREAMBLE_BYTES = 128
_GZIP = b"\x1f\x8b"


def read_plan(path: str | Path, *, tolerant: bool = False) -> Plan:
    """Read a treatment plan, whatever its format.

    The content decides, not the name of the file.

    Parameters
    ----------
    path : str or Path
        DICOM RT Ion Plan or TRiP98 raster scan file.
    tolerant : bool
        Repair a DICOM plan that breaks the standard where its meaning is not in doubt, as some research
        systems write them; `Plan.repairs` says what was repaired.

    Returns
    -------
    Plan
        The plan, checked.

    Raises
    ------
    PlanError
        If there is no such file, its format is unknown, or the plan is broken.
    """
    path = Path(path)
    head = _read_head(path)
    if head.split(maxsplit=1)[:1] == [b"rstfile"]:
        return read_rst(path)
    if _looks_like_dicom(head):
        from spotline.dicom.ion_plan import read_ion_plan  # here, so that a plan alone needs no pydicom

        return read_ion_plan(path, tolerant=tolerant)
    if head[:2] == _GZIP:
        raise PlanError(f"{path}: is compressed (gzip); unpack it first: gunzip -k {path.name}")
    if not head:
        raise PlanError(f"{path}: is empty; {_EXPECTED}")
    raise PlanError(
        f"{path}: is of an unknown format, neither DICOM (DICM at byte 128) nor TRiP98 (the first word "
        f"rstfile); {_EXPECTED}"
    )


def read_kept_plan(path: str | Path) -> Plan:
    """Read the copy of a plan that a record or a preparation keeps.

    Whoever delivered it decided whether it is repaired on reading, so it is, once more the same way.
    """
    return read_plan(path, tolerant=True)


def _read_head(path: Path) -> bytes:
    if path.is_dir():
        raise PlanError(f"{path}: is a folder, not a plan; {_EXPECTED}")
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror or error}); {_EXPECTED}") from None


def _looks_like_dicom(head: bytes) -> bool:
    if head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == b"DICM":
        return True
    # A dataset without preamble begins with group 0002 or 0008, in either byte order.
    return head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
