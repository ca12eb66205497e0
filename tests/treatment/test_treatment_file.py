"""Treatment and slice files: what comes back is what was written, or the file is refused."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline import RecordError, Slice, load_beamline, prepare
from spotline.treatment import treatment_file
from spotline.treatment.headers import PreparationHeader
from spotline.treatment.treatment_file import (
    NAME,
    read_slice_file,
    read_treatment_file,
    slice_path,
    write_slice_file,
    write_treatment_file,
)
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

HEADER = PreparationHeader(
    number=1,
    name="Feld Nr. 1 – ä",
    plan_sha256="5" * 64,
    beamline_sha256="b" * 64,
    ion="carbon",
    spots=75,
    particles=1.25e6,
    slices=3,
    gas_factors=(0.98, 1.0),
    temperature_C=20.0,
    pressure_Pa=101_325.0,
)
SLICES = (
    prepare(
        plan_of(field(*(square(5, 2.0, 5e4, index=i, energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u)))),
        load_beamline("cnao-h"),
    )
    .fields[0]
    .slices
)


def assert_same(one: Slice, other: Slice) -> None:
    for attribute in fields(Slice):
        mine, theirs = getattr(one, attribute.name), getattr(other, attribute.name)
        np.testing.assert_array_equal(mine, theirs, err_msg=attribute.name)
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype, attribute.name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_treatment_file(folder, HEADER, SLICES)
    write_slice_file(slice_path(folder, 1), HEADER, SLICES[1])
    return folder


def test_round_trip(written: Path):
    content = read_treatment_file(written, PreparationHeader)
    assert content.header == HEADER
    assert len(content.slices) == len(SLICES)
    for one, other in zip(content.slices, SLICES, strict=True):
        assert_same(one, other)


def test_round_trip_of_a_slice(written: Path):
    header, slice_ = read_slice_file(written / "sld-0001.h5")
    assert header == HEADER
    assert_same(slice_, SLICES[1])


def test_same_content_makes_same_bytes(written: Path, tmp_path: Path):
    write_treatment_file(tmp_path, HEADER, SLICES)
    assert (tmp_path / NAME).read_bytes() == (written / NAME).read_bytes()


def test_kinds_are_not_mixed_up(written: Path, tmp_path: Path):
    shutil.copy(written / "sld-0001.h5", tmp_path / NAME)
    with pytest.raises(RecordError, match="format is 'spotline-slice', not 'spotline-treatment'"):
        read_treatment_file(tmp_path)


def altered(group: str, name: str, value: Any) -> Any:
    def change(file: h5py.File) -> None:
        file[group][name][...] = value

    return change


def renamed(file: h5py.File) -> None:
    file.move("slices/0000", "slices/0003")


def relabelled(file: h5py.File) -> None:
    file["slices/0000"].attrs["energy_MeV_u"] = 216.37


def without_slice(file: h5py.File) -> None:
    del file["slices/0002"]


def other_header(file: h5py.File) -> None:
    file.attrs["header"] = np.bytes_(b'{"number": 2}')


def without_checksum(file: h5py.File) -> None:
    del file.attrs["sha256"]


@pytest.mark.parametrize(
    "change",
    [
        altered("slices/0000", "int1_counts", 1),
        altered("slices/0002", "x_current_A", 0.0),
        altered("slices/0001", "beam_off", True),
        renamed,
        relabelled,
        without_slice,
        other_header,
        without_checksum,
    ],
    ids=["counts", "currents", "beam_off", "renamed", "energy", "missing", "header", "checksum"],
)
def test_altered_with_the_tools_of_hdf5(change: Any, written: Path, tmp_path: Path):
    """HDF5 keeps its own checksums right when a file is edited; ours is over the content."""
    shutil.copy(written / NAME, tmp_path)
    with h5py.File(tmp_path / NAME, "r+") as file:
        change(file)
    with pytest.raises(RecordError, match=f"{NAME}: truncated or altered"):
        read_treatment_file(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(data: st.DataObject, written: Path, tmp_path: Path):
    content = bytearray((written / "sld-0001.h5").read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "sld-0001.h5"
    path.write_bytes(content)
    try:
        header, slice_ = read_slice_file(path)
    except RecordError as error:
        message = str(error)
    else:
        assert header == HEADER
        assert_same(slice_, SLICES[1])
        return
    assert str(path) in message
    assert "\n" not in message


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(treatment_file, "publish_file", fail)
    with pytest.raises(OSError, match="No space"):
        write_treatment_file(tmp_path, HEADER, SLICES)
    assert not list(tmp_path.iterdir())
