"""Options that cannot be had are refused when they are made: nothing is written, and nobody gets beam."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from spotline import BeamLine, Delivery, DeliveryOptions, OptionError
from tests.delivery.deliveries import PROTON, treatment_of

BAD: list[tuple[str, Any]] = [
    *(("reset_wait_s", value) for value in (math.nan, math.inf, -1.0, -1, 1e9, "5", None, True)),
    *(("block_us", value) for value in (0, -1000, 999, 1500, 1000.0, "1000", None)),
    *(("fraction", value) for value in (0, -1, 1.5, "1", True)),
    *(("started", value) for value in ("2026-01-01", 0)),
    *(("takes_orders", value) for value in (None, "no", 1)),
    ("documents", "no"),
    ("operator", None),
    ("again", 3),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_an_option_that_cannot_be_had_is_refused(name: str, value: Any):
    with pytest.raises(OptionError, match=name):
        DeliveryOptions(**{name: value})


@pytest.mark.parametrize("seed", [-1, 1.5, math.nan, True, None, "1", 2**128, 10**40])
def test_a_seed_that_is_none_leaves_nothing_behind(line: BeamLine, tmp_path: Path, seed: Any):
    with pytest.raises(OptionError, match=r"seed: .* whole number"):
        Delivery(treatment_of(PROTON, line), tmp_path / "out", seed=seed)
    assert list(tmp_path.iterdir()) == []
