"""The untyped edge of pydicom: reading a file, and typed look-ups that name what is wrong.

pydicom decodes an element when it is asked for, and damaged bytes make it raise almost anything.
Whatever it raises becomes one line of `PlanError` here, so that the rules of a plan
(`spotline.dicom.ion_plan` and its neighbours) deal with plain Python values only.

Every function takes `where`, the beginning of the message: the file, and the field and layer if any.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from decimal import Decimal, InvalidOperation
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement

from spotline.arrays import Floats
from spotline.errors import PlanError

_UNDEFINED_LENGTH = 0xFFFFFFFF
_NUMBERS_AS_TEXT = ("DS", "IS")
_NUMBERS_AS_BYTES = {"FL": "<f4", "FD": "<f8", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
_SIGNIFICANT_DIGITS_ROUNDING = 5e-6


def read_dataset(path: Path) -> tuple[Dataset, str]:
    """Read a DICOM file completely.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    dataset : pydicom.Dataset
        Its content, not yet decoded.
    sha256 : str
        Hash of the file, hexadecimal.

    Raises
    ------
    PlanError
        If there is no such file, or it is not DICOM, or it ends too early.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"{path}: cannot be read ({error.strerror or one_line(error)}); give the path of a plan file"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is checked below, what is left does not
            dataset = dcmread(BytesIO(content), force=True)
            cut = _ends_too_early(dataset)
    except Exception as error:
        raise PlanError(
            f"{path}: is not a DICOM file, or is damaged or truncated ({one_line(error)}); "
            "copy or export the plan again"
        ) from None
    if "SOPClassUID" not in dataset:
        raise PlanError(
            f"{path}: is not a DICOM file, or is damaged: SOPClassUID is missing; give a DICOM RT Ion Plan"
        )
    if cut:
        raise PlanError(f"{path}: is truncated in the element {cut}; copy or export the plan again")
    return dataset, hashlib.sha256(content).hexdigest()


def _ends_too_early(dataset: Dataset) -> str:
    # pydicom takes what bytes it finds, so the length of each element is compared with what came.
    for tag in sorted(dataset.keys()):
        raw: object = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.value is not None and raw.length != _UNDEFINED_LENGTH:
            if len(raw.value) < raw.length:
                return f"{keyword_for_tag(tag)} {tag}".strip()
    return ""


def one_line(text: object) -> str:
    """Text that is safe within a one-line message: printable, single-spaced, not endless."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in words)[:120]


def value(dataset: Dataset, keyword: str, where: str) -> Any:
    """Decoded value of an element; None if it is absent or empty.

    Raises
    ------
    PlanError
        If its bytes cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = dataset.get(keyword)
            empty = found is None or (hasattr(found, "__len__") and len(found) == 0)
    except Exception as error:
        raise undecodable(keyword, where, error) from None
    return None if empty else found


def undecodable(keyword: str, where: str, error: Exception) -> PlanError:
    """Make the error for an element whose bytes pydicom cannot make sense of."""
    return PlanError(
        f"{where}: {keyword} cannot be decoded ({one_line(error)}); the file is damaged, "
        "copy or export the plan again"
    )


def missing(keyword: str, where: str, what: str = "") -> PlanError:
    """Make the error for an attribute that has to be there."""
    return PlanError(
        f"{where}: {keyword} is missing or empty{', ' + what if what else ''}; export the plan with it"
    )


def text(dataset: Dataset, keyword: str, where: str) -> str:
    """Value as text, exactly as in the file but for spaces around it; empty if the element is absent."""
    found = value(dataset, keyword, where)
    try:
        return "" if found is None else str(found).strip()
    except Exception as error:
        raise undecodable(keyword, where, error) from None


def code(dataset: Dataset, keyword: str, where: str) -> str:
    """Value of a code string that must be present, in capitals and safe in a message."""
    found = one_line(text(dataset, keyword, where)).upper()
    if not found:
        raise missing(keyword, where)
    return found


def numbers(dataset: Dataset, keyword: str, where: str) -> Floats | None:
    """All values of a numeric element.

    Returns
    -------
    ndarray of shape (n,), or None
        A single value, which pydicom gives as a scalar, becomes an array of shape (1,); None if the
        element is absent or empty.

    Raises
    ------
    PlanError
        If it is not numeric, or a value is not finite.
    """
    found = value(dataset, keyword, where)
    if found is None:
        return None
    try:
        array = _float_array(found, keyword)
    except Exception as error:
        raise undecodable(keyword, where, error) from None
    if array.ndim != 1:
        raise PlanError(f"{where}: {keyword} is not a list of numbers; copy or export the plan again")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise PlanError(
            f"{where}: {keyword} has the value {array[bad[0]]} at index {bad[0]}; "
            "export the plan with finite numbers"
        )
    return array


def _float_array(found: Any, keyword: str) -> Floats:
    # Explicit VR has no room for more than 64 kB of most kinds of numbers; writers then store them as UN,
    # which is little endian (DICOM PS3.5, 6.2.2), and pydicom leaves them as bytes.
    if isinstance(found, bytes):
        kind = dictionary_VR(keyword)
        if kind in _NUMBERS_AS_TEXT:
            found = [float(number) for number in found.decode("ascii").strip(" \0").split("\\")]
        elif kind in _NUMBERS_AS_BYTES:
            found = np.frombuffer(found, dtype=_NUMBERS_AS_BYTES[kind])
    return np.atleast_1d(np.asarray(found, dtype=np.float64))


def number(dataset: Dataset, keyword: str, where: str) -> float | None:
    """Value of an element with one number; None if it is absent or empty."""
    found = numbers(dataset, keyword, where)
    if found is None:
        return None
    if len(found) != 1:
        raise PlanError(f"{where}: {keyword} has {len(found)} values instead of one; export the plan again")
    return float(found[0])


def required_number(dataset: Dataset, keyword: str, where: str) -> float:
    """Value of an element with one number that must be present."""
    found = number(dataset, keyword, where)
    if found is None:
        raise missing(keyword, where)
    return found


def integer(dataset: Dataset, keyword: str, where: str) -> int | None:
    """Value of an element with one whole number; None if it is absent or empty."""
    found = number(dataset, keyword, where)
    if found is None:
        return None
    if found != math.floor(found):
        raise PlanError(f"{where}: {keyword} is {found:g}, not a whole number; export the plan again")
    return int(found)


def required_integer(dataset: Dataset, keyword: str, where: str) -> int:
    """Value of an element with one whole number that must be present."""
    found = integer(dataset, keyword, where)
    if found is None:
        raise missing(keyword, where)
    return found


def items(dataset: Dataset, keyword: str, where: str) -> list[Dataset]:
    """Items of a sequence; none if it is absent.

    Raises
    ------
    PlanError
        If the element is no sequence, or its items cannot be decoded.
    """
    found = value(dataset, keyword, where)
    if found is None:
        return []
    try:
        sequence = list(found)
    except Exception as error:
        raise undecodable(keyword, where, error) from None
    if not all(isinstance(item, Dataset) for item in sequence):
        raise PlanError(f"{where}: {keyword} is not a sequence; the file is damaged, export the plan again")
    return sequence


def required_items(dataset: Dataset, keyword: str, where: str) -> list[Dataset]:
    """Items of a sequence that must have at least one."""
    found = items(dataset, keyword, where)
    if not found:
        raise missing(keyword, where)
    return found


def written_rounding(dataset: Dataset, keyword: str, where: str) -> float:
    """Largest error that writing the number as a decimal string can have made.

    Half a unit of the last digit that was written, but never more than six significant digits allow,
    so that a weight written as ``"1"`` does not count as rounded to a whole number.
    """
    found = value(dataset, keyword, where)
    try:
        exponent = Decimal(str(found)).as_tuple().exponent
        half_unit = 0.5 * 10.0 ** int(exponent)
        return min(half_unit, _SIGNIFICANT_DIGITS_ROUNDING * abs(float(found)))
    except (InvalidOperation, TypeError, ValueError, OverflowError):
        return 0.0
