"""Ways to break a file, and what is asked of whoever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword

from spotline.errors import SpotlineError

Break = Callable[[Dataset], object]
Found = TypeVar("Found")


def itself(dataset: Dataset) -> Dataset:
    return dataset


def put(find: Callable[[Dataset], Dataset], **values: object) -> Break:
    def breaks(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(find(dataset), keyword, value)

    return breaks


def remove(find: Callable[[Dataset], Dataset], keyword: str) -> Break:
    return lambda dataset: delattr(find(dataset), keyword)


def raw(find: Callable[[Dataset], Dataset], keyword: str, text: str) -> Break:
    """Write a text where DICOM wants something else, past the checks of pydicom."""

    def breaks(dataset: Dataset) -> None:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        find(dataset)[tag] = DataElement(tag, "LO", text)

    return breaks


def save(dataset: Dataset, folder: Path) -> Path:
    path = folder / "dataset.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def altered(data: st.DataObject, content: bytes) -> bytes:
    """Content with up to five bytes changed."""
    damaged = bytearray(content)
    places = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for position, byte in data.draw(st.lists(places, min_size=1, max_size=5)):
        damaged[position] = byte
    return bytes(damaged)


def refusal(read: Callable[[Path], object], path: Path, error: type[SpotlineError]) -> str:
    """Message with which a file is refused: one line that begins with its path."""
    with pytest.raises(error) as caught:
        read(path)
    return one_line(caught.value, path)


def read_or_refused(read: Callable[[Path], Found], path: Path, error: type[SpotlineError]) -> Found | None:
    """What is in a file; None if it is refused, in such a line."""
    try:
        return read(path)
    except error as caught:
        one_line(caught, path)
        return None


def one_line(error: SpotlineError, path: Path) -> str:
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message
