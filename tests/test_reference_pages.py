"""The generated reference pages are what their generator writes."""

from __future__ import annotations

import pytest

from tools import make_record_reference as generator


@pytest.mark.parametrize(
    ("name", "page"),
    [("interlocks.md", generator.interlocks_page), ("record-files.md", generator.files_page)],
)
def test_page_is_up_to_date(name, page):
    remedy = "run tools/make_record_reference.py"
    assert (generator.REFERENCE / name).read_text(encoding="utf-8") == page(), remedy
