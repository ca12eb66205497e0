"""What was delivered is read back as it was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline import Record, Slice, load_beamline, open_record, prepare
from spotline.record.model import INTERLOCK, SLICE, SLOW_CONTROL, SPILL, SPOT, TREND, TRUTH, FieldRecord
from spotline.record.spill_file import file_bytes, read_control, read_raw, read_spill, spill_path
from spotline.treatment.counts import convert_counts
from spotline.treatment.monitors import isocentre_per_chamber
from spotline.treatment.treatment_file import read_treatment_file
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

TABLES = {
    "spots": SPOT,
    "slices": SLICE,
    "spills": SPILL,
    "trend": TREND,
    "interlocks": INTERLOCK,
    "slow_control": SLOW_CONTROL,
    "truth": TRUTH,
}


def test_deliver_returns_what_is_read(small: Record):
    again = open_record(str(small.path))
    assert again.path == small.path
    assert again.summary == small.summary
    (one,), (other,) = small.fields, again.fields
    assert (one.path, one.number, one.name, one.header) == (
        other.path,
        other.number,
        other.name,
        other.header,
    )
    for name, kind in TABLES.items():
        assert getattr(one, name).dtype == kind, name
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def test_record_may_be_moved(small: Record, copy: Path):
    assert open_record(copy).fields[0].spots.tobytes() == small.fields[0].spots.tobytes()


def test_reading_changes_nothing(small: Record):
    def state() -> dict[Path, tuple[str, int]]:
        files = (path for path in small.path.rglob("*") if path.is_file())
        return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}

    before = state()
    open_record(small.path)
    assert state() == before


def test_header(small: Record):
    """All facts that the documentation of the record promises."""
    header = small.fields[0].header
    documented = FieldRecord.__doc__ or ""
    promised = documented[documented.index("header : dict") : documented.index("spots, slices")]
    names = {word.strip("`,.()") for word in promised.split() if word.startswith("``") and '"' not in word}
    assert len(names) > 15
    assert names <= set(header)
    assert (header["number"], header["ion"], header["status"]) == (3, "carbon", "complete")
    assert (header["charge_number"], header["mass_number"]) == (6, 12)
    assert (header["beamline"], header["plan_label"], header["seed"]) == ("cnao-h", "SMALL", 12)
    assert header["beamline_sha256"] == load_beamline("cnao-h").sha256
    assert header["plan_sha256"] == "5" * 64
    assert (header["spots_planned"], header["particles_planned"]) == (18, pytest.approx(2.7e6))
    assert header["meterset_per_particle"] == [1.0, 1.0]
    assert {"python", "spotline", "numpy", "numba", "h5py", "pydicom"} <= set(header["versions"])


def test_trend_is_that_of_the_spill_files_at_the_isocentre(small: Record):
    (delivered,) = small.fields
    scale = isocentre_per_chamber(load_beamline("cnao-h").facts)
    files = [read_spill(spill_path(delivered.path, number)) for number in (1, 2)]
    source = np.concatenate([file.trend for file in files])
    assert np.isfinite(source["y_strip_mm"]).sum() > 10
    assert min(scale.strip_x or 1.0, scale.strip_y or 1.0) != 1.0
    for plane, factor in (("x", scale.strip_x), ("y", scale.strip_y)):
        np.testing.assert_allclose(
            delivered.trend[f"{plane}_mm"], source[f"{plane}_strip_mm"] * factor, rtol=1e-6
        )
    np.testing.assert_array_equal(delivered.trend["time_us"], source["tick"])
    assert [len(file.assumed) for file in files] == [0, 0]
    assert len(delivered.assumed) == 0, "nothing is assumed where everything was confirmed"


def test_tables(small: Record):
    (delivered,) = small.fields
    spots = delivered.spots
    assert spots["slice"].tolist() == [0] * 9 + [1] * 9
    assert spots["spot"].tolist() == spots["planned_spot"].tolist() == [*range(9)] * 2
    assert spots["planned_layer"].tolist() == [0] * 9 + [1] * 9
    assert spots["spill"].tolist() == [1] * 9 + [2] * 9
    np.testing.assert_allclose(spots["x_planned_mm"], [-4, 0, 4, 4, 0, -4, -4, 0, 4] * 2)
    np.testing.assert_allclose(spots["particles_planned"], [1e5] * 9 + [2e5] * 9)
    assert (np.diff(spots["start_us"]) > 0).all()
    assert (spots["end_us"] > spots["start_us"]).all()
    assert np.isnan(spots["transit_us"]).tolist() == ([True] + [False] * 8) * 2
    assert (spots["transit_us"][1:9] < 400.0).all()
    slices = delivered.slices
    np.testing.assert_allclose(slices["energy_MeV_u"], CARBON_MeV_u[:2])
    assert slices["spills"].tolist() == [1, 1]
    np.testing.assert_allclose(
        slices["particles"], [spots["particles"][:9].sum(), spots["particles"][9:].sum()]
    )
    assert delivered.spills["spots_completed"].tolist() == [9, 9]
    assert len(delivered.interlocks) == 0


def test_projected_to_the_isocentre(small: Record):
    """What the strips measure, stretched to the isocentre: 6200 / (6200 - 815) and 5500 / (5500 - 800)."""
    (delivered,) = small.fields
    parts = read_spill(spill_path(delivered.path, 1)).parts
    spots = delivered.spots[:9]
    np.testing.assert_allclose(spots["x_mm"], parts["x_strip_mm"] * 6200 / 5385)
    np.testing.assert_allclose(spots["y_mm"], parts["y_strip_mm"] * 5500 / 4700)
    np.testing.assert_allclose(spots["x_pixel_mm"], parts["x_pixel_mm"] * 6200 / 5485)
    np.testing.assert_allclose(spots["y_pixel_mm"], parts["y_pixel_mm"] * 5500 / 4785)
    assert spots["position_valid"].all()
    np.testing.assert_allclose(spots["x_mm"], spots["x_planned_mm"], atol=1.0)


def test_treatment_file(small: Record):
    """Every attribute of every slice, as it was delivered: converted for the gas of the day."""
    stored = read_treatment_file(small.fields[0].path)
    line = load_beamline("cnao-h")
    second = square(3, 4.0, 2e5, index=1, energy_MeV_u=CARBON_MeV_u[1])
    prepared = prepare(plan_of(field(square(3, 4.0, 1e5), second, number=3)), line).fields[0]
    reading = small.fields[0].slow_control[0]
    expected = convert_counts(prepared, stored.header.gas_factors, line)
    for box, gas in enumerate(stored.header.gas_factors, start=1):
        assert gas == line.gas_factor(reading[f"temperature{box}_C"], reading[f"pressure{box}_Pa"])
        assert reading[f"flux_correction{box}"] == 1.0 / gas
    for found, wanted in zip(stored.slices, expected.slices, strict=True):
        for attribute in fields(Slice):
            value = getattr(found, attribute.name)
            assert type(value) is type(getattr(wanted, attribute.name)), attribute.name
            np.testing.assert_array_equal(value, getattr(wanted, attribute.name))
            if isinstance(value, np.ndarray):
                assert value.dtype == getattr(wanted, attribute.name).dtype


def test_control_is_read_back(small: Record):
    settings, memory = read_control(spill_path(small.fields[0].path, 2))
    slice_ = read_treatment_file(small.fields[0].path).slices[1]
    assert memory.cycle_code == slice_.cycle_code
    assert memory.int1_counts.tolist() == slice_.int1_counts.tolist()
    np.testing.assert_array_equal(memory.x_current_A, slice_.x_current_A)
    assert settings.scan_period == 25
    assert settings.integral.ratio == 0.1
    assert settings.x.iso_per_strip == pytest.approx(6200 / 5385)


def test_no_raw_samples(small: Record):
    assert read_raw(spill_path(small.fields[0].path, 1)) is None


def test_json_has_no_word_that_json_does_not_know(small: Record):
    """NaN and Infinity are no JSON, although Python writes and reads them."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for path in small.path.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert len(list(small.path.rglob("*.json"))) == 5


def test_room_for_a_spill_file_is_room_for_what_a_spot_puts_into_it(small: Record):
    """Three commands at most, and a row of every other table that has one for each spot."""
    with h5py.File(spill_path(small.fields[0].path, 1), "r") as file:
        found: list[int] = []

        def look(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.shape[:1] == (9,):
                found.append(item.dtype.itemsize * int(np.prod(item.shape[1:])))

        file.visititems(look)
        commands = 3 * file["measured/commands"].dtype.itemsize
    assert len(found) > 10
    assert file_bytes(10, 0, 0.0) - file_bytes(9, 0, 0.0) >= sum(found) + commands
