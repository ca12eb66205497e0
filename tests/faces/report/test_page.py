"""Pages appear when they are complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline import storage
from spotline.errors import OutputError
from spotline.faces.report.page import replace_page, write_page

HTML = "<p>ä</p>" * 1000


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that finds out at the end that it has no room."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "confirm_written", full)


@pytest.mark.parametrize("write", [write_page, replace_page])
def test_a_full_disk_leaves_no_part_of_a_page(write, tmp_path: Path, full_disk: None):
    with pytest.raises(OutputError, match=r"report\.html: .*cannot be written \(No space left on device\)"):
        write(HTML, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_was_there_stays(tmp_path: Path, full_disk: None):
    page = tmp_path / "report.html"
    page.write_text("before")
    with pytest.raises(OutputError, match="No space left"):
        replace_page(HTML, page)
    with pytest.raises(OutputError):
        write_page(HTML, page)
    assert page.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("write", [write_page, replace_page])
def test_a_page_is_written_byte_by_byte(write, tmp_path: Path):
    write(HTML, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == HTML.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
