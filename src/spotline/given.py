"""What people and rooms give as a number, before it is used as one."""

from __future__ import annotations

from numbers import Integral


def is_whole(number: object) -> bool:
    """Whether it is a whole number, NumPy's too; True and False are none."""
    return isinstance(number, Integral) and not isinstance(number, bool)
