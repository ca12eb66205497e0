"""Repainting: share the particles of each spot among several visits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotline.preparation.treatment import Floats, Integers


class Painting(NamedTuple):
    """The spots that one painting of a layer visits, and what each visit delivers; shape (n,)."""

    spot: Integers
    meterset: Floats


def paint(
    meterset: Floats, minimum: Floats, *, paintings: int, largest: float | None = None
) -> tuple[Painting, ...]:
    """Share out the spots of a layer.  (STUB)"""
    return (Painting(np.arange(len(meterset)), meterset),)
