"""What faults change in the strip and pixel chambers, and in how wide a beam they see."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from spotline.arrays import Floats
from spotline.sim.chambers import channel_shares
from spotline.sim.faults.context import Effect, FaultContext, value_of
from spotline.sim.faults.timeline import Active
from spotline.sim.plant import PlantSettings, SegmentedTruth

STUCK_counts = 10.0
"""Counts of a stuck channel in every frame."""
STRETCH = 16
"""Strips of a dead stretch."""


@functools.lru_cache(maxsize=32)
def shares_of(sigma_mm: float, pitch_mm: float) -> Floats:
    """Shares of a beam on the channels of a chamber."""
    return channel_shares(sigma_mm, pitch_mm)


def _planes(device: str) -> tuple[str, ...]:
    return ("pixel_x", "pixel_y") if device == "pixel" else (device,)


def _segmented(change: Callable[[SegmentedTruth, Active], SegmentedTruth], plane: str = "") -> Effect:
    """Change the chamber that the fault names, or one plane of it."""

    def effect(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
        names = (plane,) if plane else _planes(active.fault.device)
        changes: dict[str, Any] = {name: change(getattr(truth, name), active) for name in names}
        return truth._replace(**changes)

    return effect


def _moved(chamber: SegmentedTruth, active: Active) -> SegmentedTruth:
    return chamber._replace(offset_mm=chamber.offset_mm + value_of(active))


def _amplified(chamber: SegmentedTruth, active: Active) -> SegmentedTruth:
    return chamber._replace(counts_per_particle=chamber.counts_per_particle * value_of(active))


def _disturbed(change: Callable[[Floats, Floats, Active], float]) -> Effect:
    """Disturb the read-out; `change` alters gain and added counts in place and returns the noise."""

    def effect(truth: PlantSettings, active: Active, context: FaultContext) -> PlantSettings:
        device, facts = active.fault.device, context.beamline.facts
        (n_strips, _), (n_pixels, _) = facts.strips, facts.pixels
        name = {"strip_x": "strip_x_fault", "strip_y": "strip_y_fault", "pixel": "pixel_fault"}[device]
        shape = (n_pixels, n_pixels) if device == "pixel" else (n_strips,)
        fault = getattr(truth, name)
        gain = fault.gain.copy() if fault.active else np.ones(shape)
        added = fault.added.copy() if fault.active else np.zeros(shape)
        # Views of one dimension: a channel number counts along the rows.
        noise = change(gain.reshape(-1), added.reshape(-1), active)
        period = truth.pixel_x.period if device == "pixel" else truth.strip_x.period
        noise = fault.noise + 1e-6 * noise * period
        return truth._replace(**{name: fault._replace(active=1, gain=gain, added=added, noise=noise)})

    return effect


def _dead(gain: Floats, added: Floats, _: Active) -> float:
    gain[:] = 0.0
    added[:] = 0.0
    return 0.0


def _dead_channel(gain: Floats, _: Floats, active: Active) -> float:
    channel = int(value_of(active))
    gain[channel : channel + 1] = 0.0
    return 0.0


def _dead_stretch(gain: Floats, _: Floats, active: Active) -> float:
    channel = int(value_of(active))
    if active.fault.device == "pixel":
        side = math.isqrt(len(gain))
        first = channel // side * side
        gain[first : first + side] = 0.0
    else:
        gain[channel : channel + STRETCH] = 0.0
    return 0.0


def _stuck_channel(gain: Floats, added: Floats, active: Active) -> float:
    channel = int(value_of(active))
    gain[channel : channel + 1] = 0.0
    added[channel : channel + 1] = STUCK_counts
    return 0.0


def _noisy(_gain: Floats, _added: Floats, active: Active) -> float:
    return value_of(active)


_SEGMENTED: dict[str, Effect] = {
    "dead": _disturbed(_dead),
    "dead_channel": _disturbed(_dead_channel),
    "dead_stretch": _disturbed(_dead_stretch),
    "stuck_channel": _disturbed(_stuck_channel),
    "noisy": _disturbed(_noisy),
    "gain": _segmented(_amplified),
}


def _wider(truth: PlantSettings, active: Active, _: FaultContext) -> PlantSettings:
    def wide(chamber: SegmentedTruth) -> SegmentedTruth:
        sigma_mm = chamber.sigma_mm * value_of(active)
        return chamber._replace(sigma_mm=sigma_mm, shares=shares_of(sigma_mm, chamber.pitch_mm))

    names = ("strip_x", "strip_y", "pixel_x", "pixel_y")
    chambers: dict[str, Any] = {name: wide(getattr(truth, name)) for name in names}
    return truth._replace(**chambers)


EFFECTS: dict[str, Effect] = {
    **{
        f"{device}.{mode}": effect
        for device in ("strip_x", "strip_y", "pixel")
        for mode, effect in _SEGMENTED.items()
    },
    "strip_x.offset": _segmented(_moved),
    "strip_y.offset": _segmented(_moved),
    "pixel.offset_x": _segmented(_moved, "pixel_x"),
    "pixel.offset_y": _segmented(_moved, "pixel_y"),
    "beam.wide": _wider,
}
