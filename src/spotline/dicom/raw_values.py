"""Values of elements as bytes hold them: what pydicom leaves undecoded, and how many there may be.

Implicit VR does not say what a private element is, and explicit VR has no room for more than 64 kB of most
kinds of numbers, which writers then store as UN: pydicom leaves both as bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import PrivateBlock
from pydicom.tag import TagType

DTYPES = {
    "FL": "f4", "FD": "f8", "UL": "u4", "SL": "i4", "US": "u2", "SS": "i2", "UV": "u8", "SV": "i8",
    "OB": "u1", "OL": "u4", "OD": "f8",
}  # fmt: skip
"""Type of one value, by the VR of numbers."""
NUMBERS_AS_TEXT = ("DS", "IS")

MOST_NUMBERS = 10_000_000
"""Values of one element that are stored as numbers: five million spots in a layer."""
MOST_TEXTS = 1_000_000
"""Values of one element that are stored as text: each becomes an object of some hundred bytes."""

_ONE_VALUE = frozenset(("LT", "ST", "UT", "UR", "SQ", "UN", "OB", "OW", "OF", "OD", "OL", "OV", "AT"))


def as_numbers(value: Any, vr: str, *, little_endian: bool = True) -> NDArray[Any]:
    """Values of an element that has numbers, whether pydicom has decoded them or left the bytes.

    Parameters
    ----------
    value : bytes, number or sequence of numbers
    vr : str
        A key of `DTYPES`, or ``DS`` or ``IS``, if it was left as bytes.
    little_endian : bool
        Order of the bytes; what is stored as UN is little-endian always (DICOM PS3.5, 6.2.2).

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If the bytes are no whole number of values, no numbers, or too many of them as text.
    """
    if isinstance(value, bytes):
        if vr in NUMBERS_AS_TEXT:
            texts = value.decode("ascii").strip(" \0").split("\\", MOST_TEXTS)
            if len(texts) > MOST_TEXTS:
                raise ValueError(f"more than {MOST_TEXTS} values")
            return np.array([float(text) for text in texts])
        return np.frombuffer(value, np.dtype(("<" if little_endian else ">") + DTYPES[vr]))
    return np.atleast_1d(np.asarray(value))


def numbers_of(block: PrivateBlock, element: int, vr: str) -> NDArray[Any]:
    """Values of an element of a private block.

    Parameters
    ----------
    block : pydicom.dataset.PrivateBlock
    element : int
        Last two hexadecimal digits of its tag.
    vr : str
        A key of `DTYPES`.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    KeyError
        If it is not there.
    ValueError
        If it has no whole number of values, or too many.
    """
    check_number_of_values(block.dataset, block.get_tag(element))
    return as_numbers(block[element].value, vr)


def check_number_of_values(dataset: Dataset, tag: TagType) -> None:
    """Refuse an element with more values than any plan or record has, before they are decoded.

    Raises
    ------
    ValueError
        If it has.
    """
    raw: object = dataset.get_item(tag) if tag in dataset else None
    if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes):
        return
    try:
        known: str | None = raw.VR
        vr = dictionary_VR(raw.tag) if known is None else known
    except KeyError:  # private, and left as bytes
        return
    if vr in _ONE_VALUE:
        return
    if vr in DTYPES:
        n, most = len(raw.value) // np.dtype(DTYPES[vr]).itemsize, MOST_NUMBERS
    else:
        n, most = raw.value.count(b"\\") + 1, MOST_TEXTS
    if n > most:
        raise ValueError(f"{n} values")
