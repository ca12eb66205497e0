"""A broken record is refused with one line that names the file and says what to do, and with nothing else."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline import Record, RecordError, load_beamline, open_record, replay
from spotline.record.read import check_number_of_spills
from tests.delivery.deliveries import deliver
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

SPILL, TREATMENT = Path("field-03", "spills", "spill-0001.h5"), Path("field-03", "DDS_treatment.h5")
SUMMARY, FIELD = Path("summary.json"), Path("field-03", "field.json")


def assert_refused(record: Path, *words: str) -> None:
    """Opening it ends with a message of one line that has all the words."""
    with pytest.raises(RecordError) as caught:
        open_record(record)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("file", [SPILL, TREATMENT], ids=["spill", "treatment"])
@pytest.mark.parametrize("part", [0.0, 1e-9, 0.002, 0.1, 0.5, 0.9, 0.999, -1])
def test_truncated(file: Path, part: float, copy: Path):
    content = (copy / file).read_bytes()
    length = len(content) - 1 if part < 0 else min(len(content) - 1, int(part * len(content) + 0.999))
    (copy / file).write_bytes(content[:length])
    assert_refused(copy, f"{copy / file}: truncated or altered", "restore it from a copy")


def datasets(path: Path) -> list[str]:
    """Names of all datasets of a file that are stored with a checksum."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if getattr(item, "fletcher32", False) else None)
    return names


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (SPILL, "measured/parts"),
        (SPILL, "measured/trend"),
        (SPILL, "measured/commands"),
        (SPILL, "control/spots"),
        (SPILL, "truth/parts"),
        (TREATMENT, "slices/0000/int1_counts"),
        (TREATMENT, "slices/0001/particles"),
    ],
)
def test_one_byte_of_an_array_is_another(file: Path, name: str, copy: Path):
    """The checksum of the array notices."""
    with h5py.File(copy / file) as h5:
        chunk = h5[name].id.get_chunk_info(0)
    content = bytearray((copy / file).read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x10
    (copy / file).write_bytes(content)
    assert_refused(copy, f"{copy / file}: truncated or altered", "restore it from a copy")


def test_arrays_have_checksums(small: Record):
    assert {"measured/parts", "measured/trend", "control/int1_counts"} <= set(datasets(small.path / SPILL))
    assert len(datasets(small.path / TREATMENT)) == 2 * 17, "arrays of two slices"


@pytest.mark.parametrize("file", [SPILL, TREATMENT], ids=["spill", "treatment"])
def test_other_version(file: Path, copy: Path):
    with h5py.File(copy / file, "r+") as h5:
        ours = h5.attrs["version"]
        h5.attrs["version"] = 9
    assert_refused(
        copy,
        f"{copy / file}: has version 9",
        f"reads version {ours - 1} and {ours}",
        "use the Spotline that wrote it",
    )


@pytest.mark.parametrize("file", [SPILL, TREATMENT], ids=["spill", "treatment"])
def test_other_format(file: Path, copy: Path):
    shutil.copy(copy / (TREATMENT if file == SPILL else SPILL), copy / file)
    assert_refused(copy, f"{copy / file}: format is ", "give a file that Spotline wrote")
    with h5py.File(copy / file, "w") as h5:
        h5["something"] = 1
    assert_refused(copy, f"{copy / file}: format is None")
    (copy / file).write_text("Dear all,")
    assert_refused(copy, f"{copy / file}: truncated or altered")


@pytest.mark.parametrize(
    "name", ["measured/parts", "measured/trend", "measured/interlocks", "control/spots", "measured"]
)
def test_spill_lacks_something(name: str, copy: Path):
    with h5py.File(copy / SPILL, "r+") as h5:
        del h5[name]
    assert_refused(copy, f"{copy / SPILL}: truncated or altered", "restore it from a copy")


@pytest.mark.parametrize("name", ["slices/0000/particles", "slices/0001"])
def test_treatment_lacks_something(name: str, copy: Path):
    with h5py.File(copy / TREATMENT, "r+") as h5:
        del h5[name]
    assert_refused(copy, "truncated or altered", "restore it from a copy")


def test_treatment_has_something_more(copy: Path):
    with h5py.File(copy / TREATMENT, "r+") as h5:
        h5["slices/0000"].attrs["colour"] = "blue"
    assert_refused(copy, f"{copy / TREATMENT}: truncated or altered", "SHA-256")


@pytest.mark.parametrize("key", ["spill", "slice", "seed", "plan_sha256", "end_us", "int1_counts", "request"])
@pytest.mark.parametrize("value", [None, 77, "text", [], "missing"])
def test_header_of_a_spill(key: str, value: Any, copy: Path):
    with h5py.File(copy / SPILL, "r+") as h5:
        header = json.loads(h5.attrs["header"])
        header[key] = value
        if value == "missing":
            del header[key]
        h5.attrs["header"] = json.dumps(header)
    if value == 77 and key in ("end_us", "int1_counts", "request"):
        open_record(copy)  # as good as any other number
    else:
        assert_refused(copy, str(copy / SPILL), "restore")


@pytest.mark.parametrize("file", [SPILL, TREATMENT], ids=["spill", "treatment"])
@pytest.mark.parametrize("header", ["", "[]", "null", "{}", "{", '"text"'])
def test_header_is_another(file: Path, header: str, copy: Path):
    with h5py.File(copy / file, "r+") as h5:
        h5.attrs["header"] = header
    assert_refused(copy, f"{copy / file}: truncated or altered", "restore it from a copy")


def test_missing_spill(copy: Path):
    (copy / SPILL).unlink()
    assert_refused(copy, f"{copy / 'field-03'}: 1 spill files, but field.json tells of 2; restore")
    shutil.copy(copy / "field-03" / "spills" / "spill-0002.h5", copy / SPILL.with_name("spill-0003.h5"))
    assert_refused(copy, f"{copy / SPILL}: no such file; the record is incomplete, restore it from a copy")


def test_one_spill_too_many(copy: Path):
    shutil.copy(copy / SPILL, (copy / SPILL).with_name("spill-0003.h5"))
    assert_refused(copy, "3 spill files, but field.json tells of 2")


def test_spill_files_of_a_field_without_its_header(tmp_path: Path):
    """What says how many there are is the journal then."""
    (tmp_path / "spills").mkdir()
    with pytest.raises(RecordError, match=r"0 spill files, but journal\.bin tells of 2; restore"):
        check_number_of_spills(tmp_path, 2)
    (tmp_path / "field.json").touch()
    with pytest.raises(RecordError, match=r"0 spill files, but field\.json tells of 2; restore"):
        check_number_of_spills(tmp_path, 2)


def test_spill_twice(copy: Path):
    shutil.copy((copy / SPILL).with_name("spill-0002.h5"), copy / SPILL)
    assert_refused(copy, f"{copy / SPILL}: truncated or altered (it is spill 2)")


def test_spill_of_another_delivery(copy: Path, tmp_path: Path):
    second = square(3, 4.0, 2e5, index=1, energy_MeV_u=CARBON_MeV_u[1])
    plan = plan_of(field(square(3, 4.0, 1e5), second, number=3))
    deliver(plan, load_beamline("cnao-h"), tmp_path / "other", seed=13)
    shutil.copy(tmp_path / "other" / SPILL, copy / SPILL)
    assert_refused(copy, f"{copy / SPILL}: seed is not that of {copy / TREATMENT}; restore the spill")


def test_missing_treatment(copy: Path):
    (copy / TREATMENT).unlink()
    assert_refused(copy, f"{copy / TREATMENT}: no such file")


@pytest.mark.parametrize("file", [SUMMARY, FIELD])
def test_missing_file_that_says_what_others_say(file: Path, copy: Path):
    """The journal knows as much: a delivery that was killed before it wrote the file can be read."""
    before = open_record(copy)
    (copy / file).unlink()
    after = open_record(copy)
    assert after.summary["status"] == "complete"
    assert after.fields[0].spots.tobytes() == before.fields[0].spots.tobytes()
    assert after.fields[0].slow_control.tobytes() == before.fields[0].slow_control.tobytes()
    (copy / "delivery.json").unlink()
    (copy / "field-03" / "journal.bin").unlink()
    assert_refused(copy, f"{copy / file}: no such file")


def test_missing_folders(copy: Path, tmp_path: Path):
    assert_refused(tmp_path / "nowhere", "summary.json: no such file")
    assert_refused(copy / SUMMARY, "summary.json")
    shutil.rmtree(copy / "field-03")
    assert_refused(copy, f"{copy / TREATMENT}: no such file")


JSON = [SUMMARY, FIELD]
TEXTS = [
    "", "{", "[]", "null", "7", '"text"', "{}", "\x00", "[" * 100_000,
    '{"fields": 3}', '{"fields": [3]}', '{"fields": [{}]}', '{"fields": [{"folder": null}]}',
    '{"spills": 2}', '{"spills": "x", "status": "complete"}',
]  # fmt: skip


@pytest.mark.parametrize("file", JSON, ids=lambda file: file.name)
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_other_json(file: Path, text: str, copy: Path):
    (copy / file).write_text(text, encoding="utf-8")
    assert_refused(copy, f"{copy / file}: ", "restore it from a copy")


@pytest.mark.parametrize("file", JSON, ids=lambda file: file.name)
def test_json_that_is_no_text(file: Path, copy: Path):
    (copy / file).write_bytes(b"\xff\xfe\x00{")
    assert_refused(copy, f"{copy / file}: ", "restore it from a copy")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.pop("spills"),
        lambda f: f.update(spills=None),
        lambda f: f.update(spills=-1),
        lambda f: f.update(status="finished"),
        lambda f: f.pop("slow_control"),
        lambda f: f.update(slow_control=[{"time_us": 0}]),
        lambda f: f.update(slow_control=7),
        lambda f: f.update(slow_control=[[1, 2, 3, 4, 5]]),
        lambda f: f["slow_control"][0].update(temperature1_C="warm"),
        lambda f: f.update(interlocks_without_beam=[{}]),
        lambda f: f.update(interlocks_without_beam={"cause": 1}),
    ],
    ids=range(11),
)
def test_field_json_with_other_contents(change: Callable[[dict[str, Any]], Any], copy: Path):
    content = json.loads((copy / FIELD).read_text(encoding="utf-8"))
    change(content)
    (copy / FIELD).write_text(json.dumps(content), encoding="utf-8")
    assert_refused(copy, "field.json", "restore")


# Random damage.

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damage(content: bytes, chance: random.Random) -> bytes:
    """Truncate, overwrite, flip, insert or remove something."""
    kind = chance.choice(("truncate", "flip", "flip", "flip", "overwrite", "insert", "remove"))
    at = chance.randrange(len(content))
    if kind == "truncate":
        return content[:at]
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 3, 20))):
            changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    length = chance.choice((1, 2, 8, 100))
    filler = bytes(chance.choice((0, 255, chance.randrange(256))) for _ in range(length))
    if kind == "overwrite":
        return content[:at] + filler + content[at + length :]
    if kind == "insert":
        return content[:at] + filler + content[at:]
    return content[:at] + content[at + length :]


def open_or_refuse(record: Path) -> None:
    """It opens, because the damage does not matter, or is refused in one line."""
    for read in (open_record, replay):
        with suppress(RecordError), refused_in_one_line(record):
            read(record)


@contextmanager
def refused_in_one_line(record: Path) -> Iterator[None]:
    try:
        yield
    except RecordError as error:
        text = str(error)
        if "\n" in text or str(record) not in text:
            raise AssertionError(text) from error
        raise


@pytest.mark.parametrize("file", [SPILL, TREATMENT, SUMMARY, FIELD], ids=lambda file: file.name)
@FUZZ
@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage(file: Path, seed: int, small: Record, copy: Path):
    (copy / file).write_bytes(damage((small.path / file).read_bytes(), random.Random(seed)))
    open_or_refuse(copy)


def mutate(node: Any, chance: random.Random) -> Any:
    """Replace one random part of a JSON document by something else."""
    if isinstance(node, dict) and node and chance.random() < 0.9:
        key = chance.choice(sorted(node))
        if chance.random() < 0.2:
            return {k: v for k, v in node.items() if k != key}
        return {**node, key: mutate(node[key], chance)}
    if isinstance(node, list) and node and chance.random() < 0.9:
        at = chance.randrange(len(node))
        return [*node[:at], mutate(node[at], chance), *node[at + 1 :]]
    values = (
        None,
        True,
        -1,
        0,
        3,
        10**30,
        1.5,
        float("inf"),
        float("nan"),
        "",
        "x",
        "..",
        [],
        [None],
        {},
        {"a": 1},
    )
    return chance.choice(values)


@pytest.mark.parametrize("file", JSON, ids=lambda file: file.name)
@FUZZ
@given(seed=st.integers(0, 2**32 - 1))
def test_random_json(file: Path, seed: int, small: Record, copy: Path):
    content = json.loads((small.path / file).read_text(encoding="utf-8"))
    (copy / file).write_text(json.dumps(mutate(content, random.Random(seed))), encoding="utf-8")
    open_or_refuse(copy)


@FUZZ
@given(seed=st.integers(0, 2**32 - 1))
def test_random_headers(seed: int, small: Record, copy: Path):
    """JSON within the HDF5 files, with the checksums of HDF5 in order."""
    chance = random.Random(seed)
    for file in (SPILL, TREATMENT):
        shutil.copy(small.path / file, copy / file)
    file = chance.choice((SPILL, TREATMENT))
    with h5py.File(copy / file, "r+") as h5:
        h5.attrs["header"] = json.dumps(mutate(json.loads(h5.attrs["header"]), chance))
    open_or_refuse(copy)
