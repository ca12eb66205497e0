"""The generated reference pages are what their generator writes."""

from __future__ import annotations

import pytest

from tools import make_faults_reference as faults
from tools import make_private_tags_reference as private_tags
from tools import make_record_reference as generator


@pytest.mark.parametrize(
    ("name", "page"),
    [("interlocks.md", generator.interlocks_page), ("record-files.md", generator.files_page)],
)
def test_page_is_up_to_date(name, page):
    remedy = "run tools/make_record_reference.py"
    assert (generator.REFERENCE / name).read_text(encoding="utf-8") == page(), remedy


def test_page_of_private_tags_is_up_to_date():
    remedy = "run tools/make_private_tags_reference.py"
    assert private_tags.PAGE.read_text(encoding="utf-8") == private_tags.page(), remedy


def test_page_of_faults_is_up_to_date():
    assert faults.PAGE.read_text(encoding="utf-8") == faults.page(), "run tools/make_faults_reference.py"
