"""The page of terms: every table has all sources, and what it calls ours or DICOM's is so."""

from __future__ import annotations

import re

from pydicom.datadict import DicomDictionary

from tests.places import ROOT

PAGE = (ROOT / "docs" / "reference" / "terms.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what it is", "| ---"))
]
DICOM, FROM_MEMORY, SPOTLINE = 3, slice(4, 7), 7
QUOTED = {"absorbed dose to water, D_w", "k_s", "practical range, R_p", "R_res", "M, N_D,w, k_Q"}
"""Words of TRS-398 that Mirandola 2015 quotes."""


def test_every_row_has_all_sources():
    heads = [line for line in PAGE.splitlines() if line.startswith("| what it is")]
    assert len(heads) >= 7
    assert len(set(heads)) == 1
    assert [row for row in ROWS if len(row) != 8 or not all(row)] == []
    assert [row[0] for row in ROWS if set(row[1:]) == {"-"}] == []


def test_attributes_are_those_of_the_data_dictionary():
    known = {entry[2] for entry in DicomDictionary.values()}
    cells = [row[DICOM] for row in ROWS if row[DICOM] != "-"]
    names = [name for cell in cells for name in re.sub(r" \([A-Z_, ]+\)", "", cell).split(", ")]
    assert names
    assert [name for name in names if name not in known] == []


def test_words_of_sources_that_nobody_read_are_marked():
    cells = [cell for row in ROWS for cell in row[FROM_MEMORY] if cell != "-"]
    assert any("†" in cell for cell in cells)
    assert [cell for cell in cells if "†" not in cell and cell not in QUOTED] == []


def test_our_names_are_in_the_program():
    names = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[SPOTLINE])}
    places = (("src", "*.py"), ("src", "*.toml"), ("tests/outside", "verbs.txt"))
    texts = [path.read_text("utf-8") for place, kind in places for path in (ROOT / place).rglob(kind)]
    words = "\n".join(texts)
    assert len(names) > 80
    assert [n for n in sorted(names) if not re.search(rf"(?<!\w){re.escape(n)}(?!\w)", words)] == []
