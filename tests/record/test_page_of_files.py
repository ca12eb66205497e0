"""Every key and column that a delivered record has is on its page of the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from spotline import Record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "record-files.md"
BY_NAME = {"versions"}
"""Keys whose value has names of its own."""


def rows_below(title: str, level: str = "###") -> set[str]:
    """First cells of the tables of a section, without its subsections."""
    section = re.split(
        r"^#+ ", PAGE.read_text(encoding="utf-8").split(f"\n{level} {title}\n")[1], flags=re.MULTILINE
    )[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE))


def all_keys() -> set[str]:
    text = PAGE.read_text(encoding="utf-8").split("\n## All keys\n")[1]
    return set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))


def keys_in(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            if key not in BY_NAME:
                yield from keys_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from keys_in(value)


def contents_of(record: Record) -> dict[str, Any]:
    """What is JSON in a record, by the heading of the page."""
    field = record.fields[0].path
    (spill, *_) = sorted((field / "spills").glob("*.h5"))
    found = {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in (record.path / "delivery.json", record.path / "summary.json", *field.glob("*.json"))
    }
    for where, path in (("DDS_treatment.h5", field / "DDS_treatment.h5"), ("a spill file", spill)):
        with h5py.File(path) as file:
            header: bytes | str = file.attrs["header"]
            found[f"Header of {where}"] = json.loads(header)
    return found


@pytest.mark.parametrize("name", ["delivery.json", "summary.json", "field.json", "log.json"])
def test_every_key_of_a_file_is_on_the_page(small: Record, name: str):
    content = contents_of(small)[name]
    assert content.keys() - rows_below(name) == set()
    assert set(keys_in(content)) - all_keys() == set()


@pytest.mark.parametrize("name", ["DDS_treatment.h5", "a spill file"])
def test_every_key_of_a_header_is_on_the_page(small: Record, name: str):
    content = contents_of(small)[f"Header of {name}"]
    assert content.keys() - rows_below(f"Header of {name}") == set()
    assert set(keys_in(content)) - all_keys() == set()


def test_every_table_of_a_spill_is_on_the_page(small: Record):
    (spill, *_) = sorted((small.fields[0].path / "spills").glob("*.h5"))
    known = rows_below("The spill file", "##")
    with h5py.File(spill) as file:
        tables = [f"{group}/{name}" for group in file for name in file[group] if group != "control"]
        assert len(tables) >= 6
        assert set(tables) - known == set()
        for name in ("measured/parts", "measured/trend"):
            assert rows_below(name) == set(file[name].dtype.names)
        assert file["truth/parts"].shape[1] == 7
