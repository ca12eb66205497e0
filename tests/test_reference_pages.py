"""The generated reference pages are what their generator writes."""

from __future__ import annotations

import pytest

from tools import make_architecture_picture as architecture
from tools import make_events_reference as events
from tools import make_faults_reference as faults
from tools import make_hazards_reference as hazards
from tools import make_interlocks_reference as interlocks
from tools import make_monitors_reference as monitors
from tools import make_plan_geometry_reference as plan_geometry
from tools import make_private_tags_reference as private_tags
from tools import make_python_reference as python_names
from tools import make_record_reference as generator

pytestmark = pytest.mark.stored


def test_page_of_record_files_is_up_to_date():
    remedy = "run python -m tools.make_record_reference"
    written = (generator.REFERENCE / "record-files.md").read_text(encoding="utf-8")
    assert written == generator.files_page(), remedy


def test_page_of_interlocks_is_up_to_date():
    remedy = "run tools/make_interlocks_reference.py"
    assert interlocks.PAGE.read_text(encoding="utf-8") == interlocks.page(), remedy


def test_page_of_monitors_is_up_to_date():
    assert monitors.PAGE.read_text(encoding="utf-8") == monitors.page(), (
        "run tools/make_monitors_reference.py"
    )


def test_page_of_private_tags_is_up_to_date():
    remedy = "run tools/make_private_tags_reference.py"
    assert private_tags.PAGE.read_text(encoding="utf-8") == private_tags.page(), remedy


def test_page_of_the_geometry_of_a_plan_is_up_to_date():
    remedy = "run python -m tools.make_plan_geometry_reference"
    assert plan_geometry.PAGE.read_text(encoding="utf-8") == plan_geometry.page(), remedy


def test_page_of_faults_is_up_to_date():
    assert faults.PAGE.read_text(encoding="utf-8") == faults.page(), "run tools/make_faults_reference.py"


def test_page_of_python_names_is_up_to_date():
    remedy = "run tools/make_python_reference.py"
    assert python_names.PAGE.read_text(encoding="utf-8") == python_names.page(), remedy


def test_picture_of_the_house_is_up_to_date():
    remedy = "run tools/make_architecture_picture.py"
    assert architecture.PICTURE.read_text(encoding="utf-8") == architecture.picture(), remedy


def test_every_room_has_a_paragraph():
    text = (architecture.ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rooms = {room for line in architecture.layers() for room in line} - {"__main__"}
    assert rooms
    assert [room for room in sorted(rooms) if f"`{room}`" not in text] == []


def test_page_of_events_is_up_to_date():
    assert events.PAGE.read_text(encoding="utf-8") == events.page(), "run tools/make_events_reference.py"


def test_bounds_on_the_page_of_hazards_are_up_to_date():
    assert hazards.PAGE.read_text(encoding="utf-8") == hazards.page(), (
        "run python -m tools.make_hazards_reference"
    )
