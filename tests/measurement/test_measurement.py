"""Measurements: shapes, and what is refused."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from spotline.errors import MeasurementError
from spotline.measurement import Axis, Condition, Measurement, Provenance

FIELDS = {
    "quantity": "dose",
    "unit": "Gy",
    "axes": (Axis(name="depth", unit="mm", values=(0.0, 10.0)), Axis(name="run", values=(1.0, 2.0, 3.0))),
    "values": (1.0, 1.1, 1.2, 2.0, None, 2.2),
    "uncertainty": 0.01,
    "instrument": "plane-parallel chamber",
    "conditions": (
        Condition(name="temperature", value=21.5, unit="C"),
        Condition(name="medium", value="water"),
    ),
    "provenance": Provenance(source="scan.csv", sha256="0" * 64, measured_at="2026-03-01"),
}


def test_values_in_their_shape():
    made = Measurement(**FIELDS)
    assert made.shape == (2, 3)
    np.testing.assert_array_equal(made.array, [[1.0, 1.1, 1.2], [2.0, math.nan, 2.2]])
    np.testing.assert_array_equal(made.uncertainty_array, np.full((2, 3), 0.01))


def test_an_uncertainty_of_each_value():
    each = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    made = Measurement(**FIELDS | {"uncertainty": each})
    np.testing.assert_array_equal(made.uncertainty_array, [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    assert np.isnan(Measurement(**FIELDS | {"uncertainty": None}).uncertainty_array).all()


def test_a_single_number_has_no_axes():
    made = Measurement(**FIELDS | {"axes": (), "values": (3.0,), "uncertainty": (0.5,)})
    assert (made.array.shape, float(made.array), float(made.uncertainty_array)) == ((), 3.0, 0.5)


def test_comes_back_from_json():
    made = Measurement(**FIELDS)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Measurement) == made
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.convert(msgspec.to_builtins(made) | {"colour": "red"}, Measurement)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"values": (1.0, 2.0)}, "2 values, but its axes make 6"),
        ({"values": (math.nan,) * 6}, "a value is nan"),
        ({"uncertainty": (0.1,)}, "1 uncertainties of 6 values"),
        ({"uncertainty": -1.0}, "0 or more"),
        ({"unit": "roentgen"}, "unit 'roentgen' is unknown"),
        ({"quantity": ""}, "the name is ''"),
        ({"axes": (Axis(name="run", values=(1.0, 2.0)), FIELDS["axes"][1])}, "'run' stands twice"),
        ({"conditions": (FIELDS["conditions"][0],) * 2}, "'temperature' stands twice"),
    ],
)
def test_measurements_that_cannot_be(fields: dict[str, object], message: str):
    with pytest.raises(MeasurementError, match=message):
        Measurement(**FIELDS | fields)


def test_parts_that_cannot_be():
    with pytest.raises(MeasurementError, match="no values"):
        Axis(name="depth", values=())
    with pytest.raises(MeasurementError, match="a value is inf"):
        Axis(name="depth", values=(math.inf,))
    with pytest.raises(MeasurementError, match="unit 'ell' is unknown"):
        Axis(name="depth", unit="ell", values=(1.0,))
    with pytest.raises(MeasurementError, match="a text has no unit"):
        Condition(name="medium", value="water", unit="mm")
    with pytest.raises(MeasurementError, match="64 small hexadecimal"):
        Provenance(source="scan.csv", sha256="abc")
