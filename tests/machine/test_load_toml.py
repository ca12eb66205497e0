"""The TOML file of a beam line: each fault of it is named, with the place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline.errors import BeamLineError
from spotline.machine import load_beamline, model, simulation
from tests.lines.edit import edit
from tests.machine.refused import refusal_of

NARROW = """\
name = "Narrow"
kind = "strip"
plane = "x"
box = "BOX1"
distance_mm = 807.5
gap_mm = 5.0
channels = 128
pitch_mm = 1.35

"""

TOML_FAULTS = [
    ("schema = 1", "schema = 2", "schema: 2 is not known; this version of Spotline reads schema 1"),
    ("schema = 1\n", "", "schema: is missing; add the key"),
    ("schema = 1", "schema = ", "is not valid TOML"),
    (
        "field_x_mm = 200.0",
        "feild_x_mm = 200.0",
        "geometry.feild_x_mm: is not a known key; did you mean 'field_x_mm'?",
    ),
    ("field_x_mm = 200.0", '"a\\nb" = 1.0', "geometry.a\\nb: is not a known key; known are field_x_mm,"),
    ("field_x_mm = 200.0", f"field_x_mm = {'9' * 400}", "geometry.field_x_mm: number out of range"),
    ("field_x_mm = 200.0", "field_x_mm = 2026-01-01", "geometry.field_x_mm: expected float, got date"),
    ("channels = 32 ", "channels = 9223372036854775807 ", "monitors[4].channels: expected int <= 1000000"),
    ('name = "cnao-h"', 'name = "../x"', "name: expected str matching regex"),
    (
        "RIFI1 = 1.0",
        "RIFI1 = 0.0",
        "passive_elements.range_modulators (an entry of it): expected float > 0.0",
    ),
    ("[chambers]", "[[chambers]]", "chambers: expected table, got array; correct the value"),
    ("[chopper]", "[choper]", "choper: is not a known key; did you mean 'chopper'?"),
    ("off_delay_us = 50.0", "", "chopper.off_delay_us: is missing; add the key"),
    (
        "field_x_mm = 200.0",
        'field_x_mm = "200"',
        "geometry.field_x_mm: expected float, got str; correct the value",
    ),
    ("field_x_mm = 200.0", "field_x_mm = nan", "geometry.field_x_mm: nan is not a finite number; give one"),
    (
        "field_x_mm = 200.0",
        "field_x_mm = -1.0",
        "geometry.field_x_mm: expected float > 0.0; correct the value",
    ),
    (
        "channels = 32 ",
        "channels = 32.5 ",
        "monitors[4].channels: expected int | nothing, got float; correct the value",
    ),
    ("channels = 32 ", "channels = 0 ", "monitors[4].channels: expected int >= 1; correct the value"),
    ("field_x_mm = 200.0", "field_x_mm = inf", "geometry.field_x_mm: inf is not a finite number; give one"),
    (
        "intensity_levels = [1.0, 0.5,",
        "intensity_levels = [1.0, nan,",
        "accelerator.intensity_levels[1]: nan is not",
    ),
    (
        "intensity_levels = [1.0, 0.5,",
        "intensity_levels = [0.5, 1.0,",
        "accelerator.intensity_levels: [0.5, 1.0, 0.2, 0.1]",
    ),
    (
        "intensity_levels = [1.0, 0.5,",
        "intensity_levels = [1.1, 0.5,",
        "accelerator.intensity_levels: [1.1, 0.5, 0.2, 0.1]",
    ),
    (
        "intensity_levels = [1.0, 0.5, 0.2, 0.1]",
        "intensity_levels = []",
        "accelerator.intensity_levels: [] are no",
    ),
    ("intensity_levels = [1.0, 0.5,", "intensity_levels = [1.0, 0.0,", "accelerator.intensity_levels"),
    (
        "spill_length_s = 1.5",
        "spill_length_s = 5.0",
        "accelerator.spill_length_s: 5 s is longer than the cycle of 4.5 s",
    ),
    (
        "spill_rise_s = 0.05",
        "spill_rise_s = 1.5",
        "accelerator.spill_rise_s: rise and fall together are longer",
    ),
    ("line = 1 ", "line = 16 ", "accelerator.line: expected int <= 15; correct the value"),
    ("line = 1 ", "", "accelerator.line: is missing; add the key"),
    (
        "largest_spills_per_field = 1000",
        "largest_spills_per_field = 0",
        "accelerator.largest_spills_per_field: expected int >= 1",
    ),
    (
        "beam_off_transit_share = 0.5",
        "beam_off_transit_share = 0.0",
        "control.beam_off_transit_share: expected float > 0.0",
    ),
    (
        "minimum_spot_counts = 5",
        "minimum_spot_counts = 2.5",
        "control.minimum_spot_counts: expected int, got float",
    ),
    ("gantry_angles_deg = [90.0]", "", "geometry: there are neither gantry_angles_deg nor gantry_range_deg"),
    (
        "gantry_angles_deg = [90.0]",
        "gantry_angles_deg = [90.0]\ngantry_range_deg = [0.0, 90.0]",
        "geometry: there are both gantry_angles_deg and gantry_range_deg",
    ),
    (
        "gantry_angles_deg = [90.0]",
        "gantry_angles_deg = [360.0]",
        "geometry.gantry_angles_deg: 360 is not an IEC",
    ),
    (
        "gantry_angles_deg = [90.0]",
        "gantry_range_deg = [90.0, 0.0]",
        "geometry.gantry_range_deg: 90 to 0 is no range",
    ),
    (
        "distance_mm = 830.0",
        "distance_mm = 5500.0",
        "monitors[0].distance_mm: 5500 mm is not",
    ),
    (
        'name = "StripX"',
        f'{NARROW}[[monitors]]\nname = "StripX"',
        "monitors: Narrow is 172.8 mm wide, but the field in x is 174.0 mm",
    ),
    (
        "channels = 32 ",
        "channels = 26 ",
        "monitors: PIX is 171.6 mm wide, but the field in x is 176.9 mm wide there",
    ),
    (
        "strip_period_us = 50",
        "strip_period_us = 60",
        "control.strip_period_us: 60 us is no multiple of scan_period_us 25 us",
    ),
    (
        "pixel_period_us = 100",
        "pixel_period_us = 75",
        "control.pixel_period_us: 75 us is no multiple of strip_period_us",
    ),
    (
        "recovery_period_us = 20000",
        "recovery_period_us = 20500",
        "control.recovery_period_us: 20500 us is no whole number of milliseconds",
    ),
    (
        "recovery_credit = 3.0",
        "recovery_credit = 1.0",
        "control.recovery_credit: 1 would pause every spill at its nominal intensity; make it larger",
    ),
    (
        "watchdog_us = 200",
        "watchdog_us = 25",
        "fast_interlocks.watchdog_us: 25 us is not longer than control.scan_period_us 25 us",
    ),
    (
        "current_us = 300",
        "current_us = 20",
        "fast_interlocks.current_us: 20 us is not longer than control.scan_period_us 25 us",
    ),
    ("feedback_gain = 0.3", "feedback_gain = 1.5", "control.feedback_gain: expected float <= 1.0"),
    (
        "temperature_C = [16.0, 26.0]",
        "temperature_C = [26.0, 16.0]",
        "slow_interlocks.temperature_C: 26 to 16 is no range",
    ),
    (
        "temperature_C = [16.0, 26.0]",
        "temperature_C = [16.0]",
        "slow_interlocks.temperature_C: expected array of length 2",
    ),
    (
        "\nhigh_voltage_V = [395.0, 405.0]",
        "\nhigh_voltage_V = [405.0, 410.0]",
        "slow_interlocks.high_voltage_V: the nominal high_voltage_V of BOX1, 400 V, lies outside",
    ),
    ("silence_s = 3.0", "silence_s = 1.0", "slow_interlocks.silence_s: 1 s is not longer than period_s 1 s"),
    (
        "reference_temperature_C = 20.0",
        "reference_temperature_C = -274.0",
        "chambers.reference_temperature_C: -274 C",
    ),
    ("\npressure_Pa = 100500.0", "\npressure_Pa = -1.0", "simulation.gas.pressure_Pa: expected float > 0.0"),
    (
        'name = "carbon"',
        'name = "carbn"',
        "ions[1].name: 'carbn' is not an ion that Spotline knows; did you mean 'carbon'?",
    ),
    ('name = "carbon"', 'name = "proton"', "ions[1].name: 'proton' stands there twice"),
    (
        "full_intensity_per_s = 6.0e7",
        "full_intensity_per_s = 5.0e8",
        "ions[1].largest_intensity_per_s: the interlock at",
    ),
    (
        'focus = "large"',
        'focus = "small"',
        "ions[1].optics[2]: focus 'small' with 0 range modulators stands there twice",
    ),
    (
        'focus = "large", range',
        'foccus = "large", range',
        "ions[1].optics[2].foccus: is not a known key; did you mean 'focus'?",
    ),
    (
        '"carbon_energies.csv"',
        '"../carbon_energies.csv"',
        "ions[1].energies: '../carbon_energies.csv' leaves the folder",
    ),
    ('"carbon_energies.csv"', '"carbon.csv"', "ions[1].energies: cannot read"),
    ('"carbon_energies.csv"', '""', "ions[1].energies: '' leaves the folder"),
    ('"carbon_optics_large_0.csv"', '"large.csv"', "ions[1].optics[2].table: cannot read"),
    ('"int2_gain.csv"', '"int3_gain.csv"', "calibration.int2_gain_map: cannot read"),
    ('"int2_gain.csv"', "3", "calibration.int2_gain_map: expected str | nothing, got int; correct the value"),
    (
        "field_error = 0.0005",
        "field_error = true",
        "simulation.magnets.field_error: expected float, got bool",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), TOML_FAULTS, ids=[fault[2][:60] for fault in TOML_FAULTS])
def test_fault_in_toml(toml: Path, old: str, new: str, message: str):
    edit(toml, (old, new))
    found = refusal_of(toml)
    assert found.startswith(f"{toml}: ")
    assert message in found


def test_magnets_must_reach_the_field_in_both_planes(toml: Path):
    text = toml.read_text(encoding="utf-8")
    for plane, needed in (("x", "152.5"), ("y", "153.6")):
        head, tail = text.split(f"[scanning.{plane}]")
        weak = tail.replace("current_limit_A = 200.0", "current_limit_A = 150.0", 1)
        toml.write_text(f"{head}[scanning.{plane}]{weak}", encoding="utf-8")
        expected = f"scanning.{plane}.current_limit_A: 150 A do not reach 100 mm with carbon of 398.84 MeV/u"
        found = refusal_of(toml)
        assert expected in found
        assert f"needs {needed} A" in found


def test_energies_must_not_be_ambiguous(toml: Path):
    text = toml.read_text(encoding="utf-8")
    toml.write_text(
        text.replace("energy_tolerance_MeV_u = 0.15", "energy_tolerance_MeV_u = 0.95"), encoding="utf-8"
    )
    assert (
        "ions[0].energy_tolerance_MeV_u: 0.95 makes energies of proton_energies.csv ambiguous"
        in refusal_of(toml)
    )


def test_line_without_ions(toml: Path):
    text = toml.read_text(encoding="utf-8")
    head, rest = text.split("[[ions]]", 1)
    tail = rest[rest.index("# From here on") :]
    toml.write_text(head.replace("schema = 1", "schema = 1\nions = []") + tail, encoding="utf-8")
    assert "ions: there are none" in refusal_of(toml)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name = 'caf\xe9'"])
def test_toml_that_is_no_text(toml: Path, content: bytes):
    toml.write_bytes(content)
    assert "is not UTF-8 text" in refusal_of(toml)


def tables_of(raw: object, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Places of all tables with fixed keys in a parsed TOML file."""
    found: list[tuple[str | int, ...]] = []
    free = (("sources",), ("passive_elements",))
    free_below = (("nozzle", "passive_elements_mm"), ("nozzle", "emittance_mm_mrad"))
    if isinstance(raw, dict) and where[:1] not in free and where[:2] not in free_below:
        found.append(where)
        for key, value in raw.items():
            found += tables_of(value, (*where, key))
    elif isinstance(raw, list):
        for index, item in enumerate(raw):
            found += tables_of(item, (*where, index))
    return found


SHIPPED_TEXT = load_beamline("cnao-h").path.read_text(encoding="utf-8")
SHIPPED_TABLES = tables_of(tomllib.loads(SHIPPED_TEXT))
KNOWN_KEYS = {
    field.name
    for module in (model, simulation)
    for table in vars(module).values()
    if isinstance(table, type) and issubclass(table, msgspec.Struct)
    for field in msgspec.structs.fields(table)
}
BARE_KEY = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)


def dotted(place: tuple[str | int, ...]) -> str:
    """A place as messages name it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


@given(
    place=st.sampled_from(SHIPPED_TABLES),
    key=BARE_KEY.filter(lambda k: k not in KNOWN_KEYS),
    value=st.sampled_from([0, 1.5, "x", [], {}]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_unknown_key_anywhere_is_named(
    place: tuple[str | int, ...], key: str, value: object, monkeypatch: pytest.MonkeyPatch
):
    raw = tomllib.loads(SHIPPED_TEXT)
    table = raw
    for part in place:
        table = table[part]  # type: ignore[index]
    table[key] = value
    with monkeypatch.context() as patch:
        patch.setattr(tomllib, "loads", lambda _: raw)
        with pytest.raises(BeamLineError) as caught:
            load_beamline("cnao-h")
    assert f"{dotted((*place, key))}: is not a known key; " in str(caught.value)
