"""Registers of the strip chambers that the law does not use, from the beam line and the memory boards."""

from __future__ import annotations

import numpy as np

from spotline.arrays import Floats
from spotline.control.memory import LawSettings, SliceMemory
from spotline.control.planes import Planes, new_planes
from spotline.machine.geometry import isocentre_per_monitor, position_at_mm
from spotline.machine.model import BeamLineFile


def registers_of(facts: BeamLineFile, settings: LawSettings, memory: SliceMemory) -> Planes:
    """Registers of the planes for the spots in the memory boards."""
    planes = [(index, m) for index, m in enumerate(facts.monitors) if m.role is None]
    iso_mm = _at_isocentre_mm(facts, memory)
    has_strips = facts.monitor("strip_x") is not None or facts.monitor("strip_y") is not None
    reach_mm = (
        settings.strip_reach * settings.strip_pitch_mm
        if has_strips
        else settings.pixel_reach * settings.pixel_pitch_mm
    )
    prescribed_mm = np.zeros((len(planes), len(memory.int1_counts)))
    for row, (_, monitor) in zip(prescribed_mm, planes, strict=True):
        assert monitor.plane is not None, "checked: it is a strip chamber"
        row[:] = position_at_mm(facts, monitor, monitor.plane, iso_mm[monitor.plane])
    pitch_mm = np.array([monitor.pitch_mm or 1.0 for _, monitor in planes])
    return new_planes(
        monitor=np.array([index for index, _ in planes], np.int64),
        across_y=np.array([monitor.plane == "y" for _, monitor in planes], np.int64),
        channels=np.array([monitor.channels or 1 for _, monitor in planes], np.int64),
        pitch_mm=pitch_mm,
        reach=np.ceil(reach_mm / pitch_mm).astype(np.int64),
        prescribed_mm=prescribed_mm,
    )


def _at_isocentre_mm(facts: BeamLineFile, memory: SliceMemory) -> dict[str, Floats]:
    """Prescribed positions at the isocentre, from those at a monitor that the law uses, in each plane."""
    x, y, pixel = facts.monitor("strip_x"), facts.monitor("strip_y"), facts.monitor("pixel")
    x_mm = memory.x_strip_mm if x is not None else memory.x_pixel_mm
    y_mm = memory.y_strip_mm if y is not None else memory.y_pixel_mm
    return {
        "x": x_mm * (isocentre_per_monitor(facts, x or pixel, "x") or 1.0),
        "y": y_mm * (isocentre_per_monitor(facts, y or pixel, "y") or 1.0),
    }
