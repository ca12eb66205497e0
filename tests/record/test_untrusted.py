"""A record from elsewhere leads nowhere but into its own folder, and takes no more memory than it has."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline import CourseError, RecordError, hdf5, open_record, resume, storage
from spotline.errors import SpotlineError
from spotline.inside import LONGEST_NAME, inside, name_of_copy
from spotline.record import journal
from spotline.record.course_state import state_of
from spotline.record.delivery_file import read_delivery
from spotline.record.ledger import Ledger
from spotline.record.spill_file import read_spill
from spotline.treatment.treatment_file import read_treatment_file

WHO = {"operator": "a physicist", "reason": "tried"}
SPILL, TREATMENT = Path("field-03", "spills", "spill-0001.h5"), Path("field-03", "DDS_treatment.h5")

OUTSIDE = (
    "..", "../outer", "../../outer", "/etc", "/", "", ".", "./field-03", "field-03/", "field-03/..",
    "field-03/../../outer", "a//b", "..\\outer", "C:\\outer", "C:outer", "\\\\host\\outer", "a\\b", "field\0",
)  # fmt: skip


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# Names


def _field(content: dict[str, Any], name: str) -> None:
    content["fields"][0]["folder"] = name


def _plan(content: dict[str, Any], name: str) -> None:
    content["plan"] = name


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    ("file", "place"),
    [("delivery.json", _field), ("delivery.json", _plan), ("summary.json", _field)],
    ids=["folder in delivery.json", "plan in delivery.json", "folder in summary.json"],
)
def test_names_that_lead_out_of_a_record(name: str, file: str, place: Callable[..., None], copy: Path):
    (copy.parent / "outer").mkdir()
    changed(copy / file, lambda content: place(content, name))
    before = sorted(copy.parent.rglob("*"))
    reads = [open_record] if file == "summary.json" else [read_delivery, lambda path: resume(path, **WHO)]
    for read in reads:
        with pytest.raises(RecordError, match=file) as caught:
            read(copy)
        assert "\n" not in str(caught.value)
    assert sorted(copy.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["summary.json", "plan", "delivery.json", "delivery.lock"])
def test_a_folder_of_a_field_is_none_of_the_other_names(name: str, copy: Path):
    changed(copy / "delivery.json", lambda content: _field(content, name))
    with pytest.raises(RecordError, match=r"delivery\.json"):
        read_delivery(copy)


def test_fields_have_folders_of_their_own(copy: Path):
    changed(copy / "delivery.json", lambda content: content["fields"].append(content["fields"][0]))
    with pytest.raises(RecordError, match="not one of its own"):
        read_delivery(copy)


@pytest.mark.parametrize(
    "link",
    [
        "field-03",
        "field-03/spills",
        "field-03/spills/spill-0001.h5",
        "field-03/journal.bin",
        "field-03/DDS_treatment.h5",
        "field-03/field.json",
        "summary.json",
        "status.json",
    ],
)
@pytest.mark.parametrize("has_summary", [True, False], ids=["with summary", "without"])
def test_links_that_lead_out_of_a_record(link: str, has_summary: bool, copy: Path):
    outside = copy.parent / "outside"
    (copy / link).rename(outside)
    (copy / link).symlink_to(outside)
    if not has_summary and link != "summary.json":
        (copy / "summary.json").unlink()
    with pytest.raises(RecordError, match="leads out") as caught:
        open_record(copy)
    assert str(copy / link) in str(caught.value)


def test_links_that_stay_are_followed_and_so_is_one_to_the_record(copy: Path):
    (copy / "field-03/spills/spill-0001.h5").rename(copy / "field-03/kept.h5")
    (copy / "field-03/spills/spill-0001.h5").symlink_to("../kept.h5")
    (copy.parent / "link").symlink_to(copy.name)
    assert open_record(copy.parent / "link").fields
    # What belongs to nobody is not looked at.
    (copy / "notes").symlink_to("/etc")
    assert open_record(copy).fields


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name not in ("/etc", "a//b")])
def test_names_in_a_ledger(name: str, tmp_path: Path):
    with pytest.raises(CourseError, match="line 2: record is"):
        state_of(_ledger(tmp_path, record=name).read().lines, "ledger.jsonl")


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_of_files_in_a_ledger(name: str, tmp_path: Path):
    with pytest.raises(CourseError, match="line 3: file is"):
        state_of(_ledger(tmp_path, record="records/1", file=name).read().lines, "ledger.jsonl")


def test_a_ledger_may_tell_of_records_in_the_course_and_elsewhere(tmp_path: Path):
    for number, name in enumerate(("1", "records/1", "/data/records/1")):
        ledger = _ledger(tmp_path / str(number), record=name, file="field-01/journal.bin")
        (given_,) = state_of(ledger.read().lines, "ledger.jsonl").deliveries
        assert given_.begun.record == name


def _ledger(folder: Path, record: str, file: str = "summary.json") -> Ledger:
    begun = {
        "plan": "a", "plan_sha256": "a", "plan_uid": "1", "fraction": 1, "continuation": 0, "record": record,
        "beamline": "x", "beamline_sha256": "x", "operator": "", "again": "",
    }  # fmt: skip
    with Ledger.made(folder) as writer:
        writer.append("course", {"uid": "2.25.1", "label": ""})
        writer.append("begun", begun)
        writer.append("ended", {"delivery": 2, "status": "complete", "files": {file: "0"}})
    return Ledger(folder)


@pytest.mark.parametrize("name", ["plan.dcm", "Plan für Köln.dcm", "p.rst", ".dcm", "x" * LONGEST_NAME])
def test_a_copy_has_the_name_of_the_file(name: str):
    assert name_of_copy(name, "plan") == name == inside(name, "plan")


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("x" * 251 + ".dcm", "plan.dcm"),
        ("ü" * 120 + ".rst", "plan.rst"),
        ("a\\b.dcm", "plan.dcm"),
        ("C:b.dcm", "plan.dcm"),
        ("x." + "y" * 250, "plan"),
        ("\udcff.dcm", "plan.dcm"),
    ],
)
def test_a_name_that_is_none_everywhere_is_not_copied(name: str, copy: str):
    assert name_of_copy(name, "plan") == copy == inside(copy, "plan")


# Sizes


@pytest.mark.parametrize("file", ["delivery.json", "summary.json", "field-03/field.json"])
def test_json_has_a_size(file: str, copy: Path, monkeypatch: pytest.MonkeyPatch):
    if file != "summary.json":
        (copy / "summary.json").unlink()
    with (copy / file).open("ab") as opened:
        opened.truncate(storage.LARGEST_JSON_bytes + 1)  # takes no room on the disk
    read: list[int] = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text: read.append(len(text)) or real(text))
    with pytest.raises(RecordError, match="has more than 16 MiB"):
        read_delivery(copy) if file == "delivery.json" else open_record(copy)
    assert not any(length > storage.LARGEST_JSON_bytes for length in read)


def test_a_file_that_grows_while_it_is_read_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(bytes(100))
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda d: os.stat_result([*real(d)[:6], 0, *real(d)[7:]]))
    assert len(storage.read_bounded(tmp_path / "file", 100)) == 100
    with pytest.raises(OSError, match="has more than"):
        storage.read_bounded(tmp_path / "file", 99)


ARRAYS = [
    (SPILL, name)
    for name in (
        "measured/parts", "measured/trend", "measured/commands", "measured/interlocks",
        "measured/slow_control", "control/spots", "truth/parts",
    )
] + [(TREATMENT, "slices/0000/int1_counts"), (TREATMENT, "slices/0001/particles")]  # fmt: skip


def read_again(path: Path) -> object:
    return read_spill(path) if path.name.startswith("spill") else read_treatment_file(path.parent)


@pytest.fixture
def reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading an array of more than a megabyte is an error that nothing catches."""
    real = h5py.Dataset.__getitem__

    def get(self: h5py.Dataset, key: object, **others: object) -> object:
        if self.size and self.size * self.dtype.itemsize > 1 << 20:
            raise KeyboardInterrupt(self.name)
        return real(self, key, **others)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", get)


@pytest.mark.parametrize(("file", "name"), ARRAYS)
@pytest.mark.parametrize("kind", ["never written", "other file", "virtual", "deflated twice"])
@pytest.mark.usefixtures("reads_little")
def test_an_array_is_in_its_file_and_no_larger_than_stored(kind: str, file: Path, name: str, copy: Path):
    path = copy / file
    with h5py.File(path, "r+") as h5:
        dtype = h5[name].dtype
        del h5[name]
        if kind == "never written":
            h5.create_dataset(name, (1 << 28,), dtype, chunks=(1024,), compression="gzip")
        elif kind == "other file":
            h5.create_dataset(name, (4,), dtype, external=[("/etc/passwd", 0, 4 * dtype.itemsize)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4,), dtype)
            layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
            h5.create_virtual_dataset(name, layout)
        else:
            rows = (1 << 24) // dtype.itemsize
            made = h5.create_dataset(name, (rows,), dtype, chunks=(rows,), compression="gzip")
            made.id.write_direct_chunk((0,), zlib.compress(bytes(rows)))
    with pytest.raises(RecordError, match="truncated or altered") as caught:
        read_again(path)
    reason = "kept elsewhere" if kind in ("other file", "virtual") else "declares"
    assert reason in str(caught.value)


@pytest.mark.parametrize(("file", "name"), ARRAYS)
@pytest.mark.parametrize("kind", ["soft", "external", "hard"])
def test_an_array_is_no_link(kind: str, file: Path, name: str, copy: Path):
    with h5py.File(copy / file, "r+") as h5:
        if kind == "hard":  # one array under many names is read as often
            h5["another"] = h5[name]
        else:
            h5.move(name, "another")
            h5[name] = (
                h5py.SoftLink("/another") if kind == "soft" else h5py.ExternalLink("/etc/other.h5", "x")
            )
    with pytest.raises(RecordError, match=r"kept elsewhere|a link to something else|SHA-256"):
        read_again(copy / file)


def test_arrays_have_a_bound_of_their_own(tmp_path: Path):
    with h5py.File(tmp_path / "file.h5", "w") as h5:
        h5["x"] = np.arange(1000)
        assert len(hdf5.array_of(h5, "x", 8000)) == 1000
        with pytest.raises(ValueError, match="declares 8000 bytes"):
            hdf5.array_of(h5, "x", 7999)


def test_zeros_deflate_as_far_as_is_allowed(tmp_path: Path):
    with h5py.File(tmp_path / "file.h5", "w") as h5:
        hdf5.put(h5, "x", np.zeros(1 << 20))
        assert not hdf5.array_of(h5, "x").any()


@pytest.mark.parametrize("file", [SPILL, TREATMENT])
def test_a_header_has_a_size(file: Path, copy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hdf5, "LARGEST_JSON_bytes", 100)
    with pytest.raises(RecordError, match=r"attribute .* has more than"):
        read_again(copy / file)


# The journal


def heads(n: int, gap: int, length: int) -> bytes:
    """An entry, and behind it heads of entries that are none."""
    first = journal.encode(journal.FIELD, 0, 0, {}, None)
    head = journal._HEAD.pack(journal._MARK, 1, length, journal.FORMAT, 0, 1, 0)
    return first + (head + bytes(gap)) * n


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes that a checksum was made of."""
    found: list[int] = []
    real = zlib.crc32

    def crc32(content: bytes, *others: int) -> int:
        found.append(len(content))
        return real(content, *others)

    monkeypatch.setattr(journal.zlib, "crc32", crc32)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(n=st.integers(0, 4000), gap=st.integers(0, 60), share=st.floats(0.0, 1.0))
def test_the_scan_of_a_journal_takes_as_long_as_it_is(
    n: int, gap: int, share: float, summed: list[int], tmp_path: Path
):
    content = heads(n, gap, 4 + int(share * 28 * n))
    (tmp_path / "journal.bin").write_bytes(content)
    summed.clear()
    try:
        journal.read_journal(tmp_path / "journal.bin")
    except RecordError:
        assert n > 1
    assert sum(summed) <= (journal.MOST_HEADS + 2) * len(content)
    assert len(summed) <= journal.MOST_HEADS + 2


def test_more_heads_than_can_be_there_are_no_torn_entry(tmp_path: Path):
    path = tmp_path / "journal.bin"
    path.write_bytes(heads(journal.MOST_HEADS, 0, 10**6))
    assert journal.read_journal(path).is_torn
    path.write_bytes(heads(journal.MOST_HEADS + 1, 0, 10**6))
    with pytest.raises(RecordError, match="entry 1 is altered"):
        journal.read_journal(path)


def test_a_journal_has_a_size_and_its_entries_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "journal.bin"
    first = journal.encode(journal.FIELD, 0, 0, {}, None)
    (crc,) = journal._CRC.unpack(first[-4:])
    path.write_bytes(first + journal.encode(journal.FIELD, 1, crc, {"text": "x" * 100}, None))
    assert len(journal.read_journal(path).entries) == 2
    for name, most, words in (
        ("MOST_ENTRIES", 1, "has more than 1 entries"),
        ("LARGEST_JSON_bytes", 50, "bytes of JSON"),
        ("LARGEST_bytes", 100, "has more than"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(journal, name, most)
            with pytest.raises(RecordError, match=words):
                journal.read_journal(path)


def test_a_ledger_has_a_size(tmp_path: Path):
    ledger = Ledger(tmp_path)
    with ledger.path.open("ab") as file:
        file.truncate((1 << 26) + 1)
    with pytest.raises(CourseError, match="more than 64 MiB"):
        ledger.read()


# Formats


@pytest.mark.parametrize("number", [0, 2, 99, True, 1.0, "1", None, [], "9" * 1000])
def test_a_format_that_is_not_known_is_refused(number: object, copy: Path):
    changed(copy / "delivery.json", lambda content: content.update(format=number))
    with pytest.raises(SpotlineError, match="use the Spotline that wrote it") as caught:
        read_delivery(copy)
    assert len(str(caught.value)) < 400


def test_times_that_cannot_be_reckoned_with(copy: Path):
    shutil.copy(copy / "delivery.json", copy.parent / "sound.json")
    for started in ("9999-12-31T23:59:59+00:00", "tomorrow", "0001-01-01T00:00:00+14:00"):
        shutil.copy(copy.parent / "sound.json", copy / "delivery.json")
        changed(copy / "delivery.json", lambda content, started=started: content.update(started=started))
        with pytest.raises(RecordError, match=r"delivery\.json"):
            read_delivery(copy)
