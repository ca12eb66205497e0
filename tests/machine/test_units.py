"""Every dimensional name of a beam line ends in its unit."""

from __future__ import annotations

import typing
from pathlib import Path

import msgspec
import pytest

from spotline.machine import model, monitors, simulation
from spotline.machine.load import SHIPPED
from spotline.machine.schema import Facts
from spotline.units import UNIT_SUFFIXES

# Numbers without a dimension, and numbers of things.
PLAIN = {
    "schema",
    "int1_daily_factor",
    "int2_daily_factor",
    "spill_charge_spread",
    "intensity_levels",
    "line",
    "largest_spills_per_field",
    "beam_off_transit_share",
    "range_modulators",
    "feedback_gain",
    "gains",
    "channels",
    "int_ratio",
    "recovery_credit",
    "int_rate_ratio",
    "charge_ratio",
    "width_ratio",
    "ring_ratio",
    "ring_pulse_share",
    "intensity_floor",
    "unsettled_spots",
    "spills_factor",
    "excess_spills",
    "excess_intensity",
    "data_periods",
    "gas_density_change",
    "charge_spread",
    "ripple_rms",
    "noise_rms",
    "size_error",
    "int1_gain",
    "strip_x_gain",
    "strip_y_gain",
    "int2_gain",
    "pixel_gain",
    "gain_map_residual",
    "minimum_particles_per_spot",
    "ionization_spread_proton",
    "field_error",
    "gain",
}
# Dictionaries by names that plans use; the key above them says millimetres of water.
BY_NAME = {"range_shifters", "range_modulators", "sources"}

STRUCTS = [
    kind
    for module in (model, monitors, simulation)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Facts) and kind.__module__ == module.__name__
]


def ends_in_unit(name: str) -> bool:
    """Whether the end of a name, or both sides of its last ``_per_``, are legal units."""
    parts = name.split("_per_")
    return any(parts[-1] == unit or parts[-1].endswith(f"_{unit}") for unit in UNIT_SUFFIXES)


def holds_numbers(annotation: object) -> bool:
    """Whether a field is a number, or has numbers in tuples."""
    if annotation in (float, int):
        return True
    return any(holds_numbers(part) for part in typing.get_args(annotation))


def test_rule():
    assert ends_in_unit("x_iso_mm")
    assert ends_in_unit("integral_field_mT_m_per_A")
    assert ends_in_unit("full_intensity_per_s")
    assert not ends_in_unit("field_width")
    assert not ends_in_unit("slew_A_per_fortnight")


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_keys(kind: type[msgspec.Struct]):
    for name, annotation in typing.get_type_hints(kind).items():
        if name in BY_NAME or not holds_numbers(annotation):
            continue
        assert ends_in_unit(name) != (name in PLAIN), f"{kind.__name__}.{name}"


@pytest.mark.parametrize(
    "path", sorted(SHIPPED.rglob("*.csv")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_columns(path: Path):
    header = next(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    for name in header.split(","):
        assert ends_in_unit(name) != (name in PLAIN), name
