"""Compact lists for messages."""

from __future__ import annotations

from collections.abc import Iterable


def several(count: int, noun: str) -> str:
    """Say how many: ``1 spot``, ``2 spots``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ranges(numbers: Iterable[int]) -> str:
    """List whole numbers in order, runs as their ends: ``0-12, 15``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(str(end) for end in run) for run in runs)


def layers_named(indices: Iterable[int]) -> str:
    """Name layers: ``layer 3``, ``layers 0-2, 5``."""
    indices = set(indices)
    return f"layer{'' if len(indices) == 1 else 's'} {ranges(indices)}"


def figures(values: Iterable[float]) -> str:
    """List numbers as they come, each once: ``220, 218.92``."""
    return ", ".join(dict.fromkeys(f"{value:g}" for value in values))


def quoted(words: Iterable[str]) -> str:
    """List words as they come, each once: ``'small', 'large'``."""
    return ", ".join(dict.fromkeys(repr(word) for word in words))
