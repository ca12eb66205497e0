"""Strip chambers without a role in the law: read out with the others, and what they measured of a spot.

No decision depends on them.  All planes of a line lie in arrays of one row each, and channels beyond those
of a plane stay empty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Frame, Integers
from spotline.control.memory import LawSettings, LawState
from spotline.control.strip import add, is_beam_placed, nearest_channel, position_of
from spotline.jit import kernel

READING = np.dtype(
    [
        ("part", "i8"),  # row of `parts`
        ("monitor", "i8"),  # index among the monitors of the line
        ("position_mm", "f8"),  # at the monitor; NaN without a count
        ("counts", "i8"),  # behind the position
        ("valid", "i8"),  # 1 centre of gravity, 0 strip with most counts
    ]
)
"""What a monitor without a role measured of a spot during one spill."""


class Planes(NamedTuple):
    """Settings and registers of the planes: k of them, n channels at most, and the spots of a spill."""

    monitor: Integers  # (k,): index among the monitors of the line
    across_y: Integers  # (k,): 1 if it measures y
    channels: Integers  # (k,)
    pitch_mm: Floats  # (k,)
    reach: Integers  # (k,): channels to each side of the prescribed one that make the centre of gravity
    prescribed_mm: Floats  # (k, n_spots): where the beam should cross the plane
    counts: Integers  # (k, n): of the current spot, before the magnets settled
    settled: Integers  # (k, n): the same from then on
    row: Integers  # (1,): of `parts` that the registers belong to
    position_mm: Floats  # (k, n_spots)
    behind: Integers  # (k, n_spots): counts behind the position
    valid: Integers  # (k, n_spots)


def new_planes(
    monitor: Integers,
    across_y: Integers,
    channels: Integers,
    pitch_mm: Floats,
    reach: Integers,
    prescribed_mm: Floats,
) -> Planes:
    """Make the registers for one spill.

    Parameters
    ----------
    monitor, across_y, channels, pitch_mm, reach : ndarray, shape (k,)
    prescribed_mm : ndarray, shape (k, n_spots)
        As in `Planes`.
    """
    shape = len(channels), int(channels.max(initial=0))
    return Planes(
        monitor=monitor,
        across_y=across_y,
        channels=channels,
        pitch_mm=pitch_mm,
        reach=reach,
        prescribed_mm=prescribed_mm,
        counts=np.zeros(shape, np.int64),
        settled=np.zeros(shape, np.int64),
        row=np.zeros(1, np.int64),
        position_mm=np.full(prescribed_mm.shape, np.nan),
        behind=np.zeros(prescribed_mm.shape, np.int64),
        valid=np.zeros(prescribed_mm.shape, np.int64),
    )


@kernel
def close_planes(planes: Planes, law: LawState, settings: LawSettings) -> None:
    """Keep what was measured of the spot that the registers belong to, and clear them.

    As with the strips of the law, counts taken with the magnets settled come first.
    """
    row, minimum = planes.row[0], settings.centroid_counts
    for k in range(len(planes.channels)):
        n, pitch_mm, reach = planes.channels[k], planes.pitch_mm[k], planes.reach[k]
        middle = nearest_channel(planes.prescribed_mm[k, row], n, pitch_mm)
        found = position_of(planes.settled[k, :n], middle, reach, minimum, pitch_mm)
        if found[2] == 0:
            for i in range(n):
                planes.counts[k, i] += planes.settled[k, i]
            found = position_of(planes.counts[k, :n], middle, reach, minimum, pitch_mm)
        planes.position_mm[k, row] = found[0]
        planes.behind[k, row] = found[1]
        planes.valid[k, row] = found[2]
    planes.counts[:] = 0
    planes.settled[:] = 0
    planes.row[0] = law.scalars[0].row


@kernel
def is_of_next_spot(planes: Planes, law: LawState, settings: LawSettings) -> bool:
    """Whether a trigger came in this frame: it belongs to neither spot, and the last one is closed."""
    if planes.row[0] == law.scalars[0].row:
        return False
    close_planes(planes, law, settings)
    return True


@kernel
def plane_frame(
    planes: Planes, law: LawState, settings: LawSettings, k: int, frame: Frame, region: Integers
) -> None:
    """Add a frame of one plane to its registers.

    Parameters
    ----------
    planes, law, settings
        Registers of the planes, and of the law with its settings.
    k : int
        Which plane.
    frame : ndarray of int, shape (n,)
        Counts since the frame before.
    region : ndarray of int, shape (2,)
        First and one past the last channel that may differ from 0.
    """
    is_placed = is_beam_placed(law, settings, settings.strip_period)
    add(planes.settled[k] if is_placed else planes.counts[k], frame, region)


def readings_of(planes: Planes, n_parts: int) -> NDArray[np.void]:
    """What was measured of the first spots, columns `READING`; where nothing was counted there is no row."""
    part, k = np.nonzero(planes.behind[:, :n_parts].T)
    readings = np.zeros(len(part), READING)
    readings["part"], readings["monitor"] = part, planes.monitor[k]
    readings["position_mm"] = planes.position_mm[k, part]
    readings["counts"], readings["valid"] = planes.behind[k, part], planes.valid[k, part]
    return readings
