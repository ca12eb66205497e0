"""Directions: one relative to another, and turned by small angles."""

from __future__ import annotations

import math

from spotline.jit import kernel


@kernel
def turned(u: float, v: float, w: float, a: float, b: float, c: float) -> tuple[float, float, float]:
    """Direction (a, b, c) relative to the direction (u, v, w), in the frame of the latter."""
    e1x, e1y, e1z, e2x, e2y, e2z = across(u, v, w)
    return a * e1x + b * e2x + c * u, a * e1y + b * e2y + c * v, a * e1z + b * e2z + c * w


@kernel
def across(u: float, v: float, w: float) -> tuple[float, float, float, float, float, float]:
    """Two unit vectors across a direction and each other.

    Duff et al., Building an orthonormal basis, revisited, J. Comput. Graph. Tech. 6 (2017) 1.
    """
    sign = math.copysign(1.0, w)
    a = -1.0 / (sign + w)
    b = u * v * a
    return 1.0 + sign * u * u * a, sign * b, -sign * u, b, sign + v * v * a, -v


@kernel
def deflect(u: float, v: float, w: float, x_rad: float, y_rad: float) -> tuple[float, float, float]:
    """Turn a direction by two small angles."""
    e1x, e1y, e1z, e2x, e2y, e2z = across(u, v, w)
    a, b, c = u + x_rad * e1x + y_rad * e2x, v + x_rad * e1y + y_rad * e2y, w + x_rad * e1z + y_rad * e2z
    length = 1.0 / (a * a + b * b + c * c) ** 0.5
    return a * length, b * length, c * length
