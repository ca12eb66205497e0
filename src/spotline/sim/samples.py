"""Arrays for the samples of a block: made, filled piece by piece, and handed out."""

from __future__ import annotations

import numpy as np

from spotline.arrays import Floats
from spotline.control.memory import ABORT, TREND, TREND_TICKS
from spotline.machine import BeamLine
from spotline.room import RawSamples
from spotline.sim.loop import Samples
from spotline.sim.plant import PlantSettings


def new_samples(beamline: BeamLine, n_ticks: int, raw: bool, truth: Floats) -> Samples:
    """Make room for a block of samples.

    Parameters
    ----------
    beamline : BeamLine
    n_ticks : int
        Microseconds.
    raw : bool
        Whether every frame of every chamber is kept.
    truth : ndarray, shape (n_spots, TRUTH_COLUMNS)
        Table of the truth, which goes on from block to block.
    """
    (n_strips, _), (n_pixels, _) = beamline.facts.strips, beamline.facts.pixels
    n_raw = n_ticks if raw else 0
    control = beamline.facts.control
    return Samples(
        trend=np.zeros(n_ticks // TREND_TICKS, TREND).view(np.recarray),
        truth=truth,
        raw=int(raw),
        integrals=np.zeros((n_raw, 2), np.uint16),
        strips=np.zeros((n_raw // control.strip_period_us, 2, n_strips), np.uint16),
        pixels=np.zeros((n_raw // control.pixel_period_us, n_pixels, n_pixels), np.uint16),
        currents=np.zeros((n_raw // control.scan_period_us, 4)),
        inputs=np.zeros(n_raw // control.scan_period_us, np.uint16),
    )


def rest(samples: Samples, done_us: int, truth: PlantSettings) -> Samples:
    """Return the places of a block that come after so many microseconds of it."""
    if done_us == 0:
        return samples
    return samples._replace(
        trend=samples.trend[done_us // TREND_TICKS :],
        integrals=samples.integrals[done_us:],
        strips=samples.strips[done_us // truth.strip_x.period :],
        pixels=samples.pixels[done_us // truth.pixel_x.period :],
        currents=samples.currents[done_us // truth.period :],
        inputs=samples.inputs[done_us // truth.period :],
    )


def raw_samples(
    samples: Samples, n_ticks: int, truth: PlantSettings, aborts: list[tuple[int, int, float, float, int]]
) -> RawSamples:
    """Return every frame of a block that came to so many microseconds.

    Parameters
    ----------
    samples : Samples
    n_ticks : int
    truth : PlantSettings
        Its periods.
    aborts : list of tuple
        Rows of `spotline.control.memory.ABORT`.
    """
    return RawSamples(
        integrals=samples.integrals[:n_ticks],
        strips=samples.strips[: n_ticks // truth.strip_x.period],
        pixels=samples.pixels[: n_ticks // truth.pixel_x.period],
        currents_A=samples.currents[: n_ticks // truth.period],
        inputs=samples.inputs[: n_ticks // truth.period],
        aborts=np.array(aborts, ABORT),
    )
