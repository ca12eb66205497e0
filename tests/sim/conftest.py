"""What holds for the tests of the simulated room."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(autouse=True, scope="session")
def wrapping_hashes() -> Iterator[None]:
    """The hash behind the random numbers multiplies modulo 2^64, of which NumPy warns in plain Python."""
    with np.errstate(over="ignore"):
        yield
