"""Names for arrays by what their elements are; shapes and units stand where an array is described."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Float32s = NDArray[np.float32]
"""Doses on grids, where half the memory counts and seven digits are enough."""

Integers = NDArray[np.int64]

Booleans = NDArray[np.bool_]

Frame = NDArray[np.int32]
"""Counts of a segmented chamber since the frame before."""
