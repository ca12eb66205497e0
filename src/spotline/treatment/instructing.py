"""From a planned field to the instructions of its delivery: paintings, order, intensity, beam-off jumps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotline.arrays import Floats, Integers
from spotline.machine import BeamLine
from spotline.machine.model import IonBeam
from spotline.moves import Moves, move_times_us
from spotline.plan.instructions import Instruction
from spotline.plan.model import Field, Layer
from spotline.treatment.conversions import (
    layers_by_slice,
    minimum_particles,
    particles_per_meterset,
    particles_per_s,
)
from spotline.treatment.options import Options
from spotline.treatment.path import GRID_mm, Jumps, exceeds, measure_path, shortest_path
from spotline.treatment.repainting import ROUNDING, Painting, paint

Progress = Callable[[int, int], None]
Orders = dict[tuple[int, bytes], Integers]
"""Orders found so far, by layer and spots: most paintings of a layer visit the same spots."""


def instruct(
    field: Field, beamline: BeamLine, options: Options, progress: Progress | None = None
) -> tuple[Instruction, ...]:
    """Decide how a field is delivered.

    Parameters
    ----------
    field : Field
        A field that the line can deliver (`spotline.treatment.demands.obstacles` has none to tell).
    beamline : BeamLine
        Where.
    options : Options
        What is asked for.
    progress : callable, optional
        Told how many slices of how many are done.

    Returns
    -------
    tuple of Instruction
        In delivery order, one per slice.
    """
    groups = list(layers_by_slice(field, beamline))
    painted = [
        [_paint(layer, field, beamline, energy, options) for layer in layers] for energy, _, layers in groups
    ]
    sequence = list(_sequence([max(map(len, layers)) for layers in painted], options))
    slices = []
    orders: Orders = {}
    for group, painting in sequence:
        energy, focus, layers = groups[group]
        visits = [
            (layer, number, share)
            for layer, shares in zip(layers, painted[group], strict=True)
            for number, share in enumerate(shares)
            if (painting is None or number == painting) and len(share.spot)
        ]
        slices.append(_instruction(visits, field, energy, focus, beamline, options, orders))
        if progress is not None:
            progress(len(slices), len(sequence))
    return tuple(slices)


def _paint(
    layer: Layer, field: Field, beamline: BeamLine, energy_MeV_u: float, options: Options
) -> tuple[Painting, ...]:
    """Share the spots of a layer among its paintings."""
    particles_per = particles_per_meterset(field, beamline, energy_MeV_u)
    minimum = minimum_particles(layer, field, beamline, energy_MeV_u) / particles_per
    largest = options.largest_visit_particles
    return paint(
        layer.meterset,
        minimum,
        paintings=layer.paintings if options.paintings is None else options.paintings,
        largest=None if largest is None else largest / particles_per,
    )


def _sequence(paintings: list[int], options: Options) -> Iterator[tuple[int, int | None]]:
    """Order of the slices: which group of layers, and which of its paintings (None: all)."""
    if options.repainting == "layered":
        yield from ((group, None) for group in range(len(paintings)))
        return
    for painting in range(max(paintings)):
        groups = [group for group, n in enumerate(paintings) if painting < n]
        backwards = options.repainting == "back_and_forth" and painting % 2 == 1
        yield from ((group, painting) for group in (reversed(groups) if backwards else groups))


def _instruction(
    visits: list[tuple[Layer, int, Painting]],
    field: Field,
    energy_MeV_u: float,
    focus: str,
    beamline: BeamLine,
    options: Options,
    orders: Orders,
) -> Instruction:
    """Put the visits of one slice in order, and decide on its intensity and its beam-off jumps."""
    beam = beamline.beam(field.ion.name)
    assert beam is not None, "obstacles() refuses ions that the line does not have"
    moves = beamline.moves(field.ion.name, energy_MeV_u)
    scan = _planned_order(visits)
    if options.order == "shortest":
        jumps = jumps_of(beamline, options)
        scan = _shorter(scan, _shortest_order(visits, moves, jumps, orders), moves, jumps)
    particles = scan.meterset * particles_per_meterset(field, beamline, energy_MeV_u)
    level = options.intensity
    if level is None:
        deciding = _deciding(particles, scan, field, energy_MeV_u, beamline)
        level = _intensity(deciding, beam, energy_MeV_u, beamline)
    spot_us = particles / particles_per_s(beam, level, energy_MeV_u, beamline) * 1e6
    return Instruction(
        energy_MeV_u=energy_MeV_u,
        focus=focus,
        intensity_level=level,
        layer=scan.layer,
        spot=scan.spot,
        painting=scan.painting,
        meterset=scan.meterset,
        beam_off=_beam_off(scan, spot_us, moves, beamline, options),
    )


class _Scan(NamedTuple):
    """Visits in delivery order."""

    layer: Integers
    spot: Integers
    painting: Integers
    meterset: Floats
    x_mm: Floats
    y_mm: Floats


def _planned_order(visits: list[tuple[Layer, int, Painting]]) -> _Scan:
    return _join([_scan(layer, number, painting) for layer, number, painting in visits])


def _shortest_order(
    visits: list[tuple[Layer, int, Painting]], moves: Moves, jumps: Jumps, orders: Orders
) -> _Scan:
    """Order each painting by itself, and begin each at the end that is nearer to where the last one ended."""
    scans: list[_Scan] = []
    for layer, number, painting in visits:
        scan = _scan(layer, number, painting)
        # Positions that come twice are a planner's own repainting, which a shorter path would undo.
        positions = np.column_stack([scan.x_mm, scan.y_mm])
        if len(np.unique(positions, axis=0)) == len(positions):
            key = layer.index, painting.spot.tobytes()
            if key not in orders:
                orders[key] = shortest_path(scan.x_mm, scan.y_mm, moves, jumps)
            scan = _reordered(scan, orders[key])
            if scans and exceeds(_distance_mm(scans[-1], scan, 0), _distance_mm(scans[-1], scan, -1)):
                scan = _reordered(scan, np.arange(len(scan.spot))[::-1])
        scans.append(scan)
    return _join(scans)


def _scan(layer: Layer, number: int, painting: Painting) -> _Scan:
    spot = painting.spot
    whole = np.ones(len(spot), np.int64)
    return _Scan(
        whole * layer.index,
        spot,
        whole * number,
        painting.meterset,
        layer.x_iso_mm[spot],
        layer.y_iso_mm[spot],
    )


def _reordered(scan: _Scan, order: Integers) -> _Scan:
    return _Scan._make(column[order] for column in scan)


def _join(scans: list[_Scan]) -> _Scan:
    return _Scan._make(np.concatenate(columns) for columns in zip(*scans, strict=True))


def _distance_mm(before: _Scan, after: _Scan, end: int) -> float:
    return math.hypot(after.x_mm[end] - before.x_mm[-1], after.y_mm[end] - before.y_mm[-1])


def _shorter(planned: _Scan, shortest: _Scan, moves: Moves, jumps: Jumps) -> _Scan:
    """Take the new order unless its time or travel exceeds that of the plan's."""
    old = measure_path(planned.x_mm, planned.y_mm, moves, jumps)
    new = measure_path(shortest.x_mm, shortest.y_mm, moves, jumps)
    worse = exceeds(new.time_us, old.time_us) or exceeds(new.travel_mm, old.travel_mm)
    return planned if worse else shortest


def jumps_of(beamline: BeamLine, options: Options) -> Jumps:
    """Beam-off jumps: beyond which distance, and what one costs beside the move."""
    control, chopper = beamline.facts.control, beamline.facts.chopper
    threshold = options.beam_off_jump_mm
    return Jumps(
        # A step of a grid that is as long as the threshold is none, however it was rounded.
        (control.beam_off_jump_mm if threshold is None else threshold) + GRID_mm,
        chopper.off_delay_us + chopper.off_ramp_us + chopper.on_delay_us + chopper.on_ramp_us / 2,
    )


def _deciding(
    particles: Floats, scan: _Scan, field: Field, energy_MeV_u: float, beamline: BeamLine
) -> Floats:
    """Particles of the visits that decide on the intensity.

    In the rest of a field there may be spots of which a count or two is left, too few for any intensity.
    They must not slow down a whole slice, so they decide only where there is nothing else.
    """
    if not field.is_continuation:
        return particles
    least = np.empty(len(particles))
    for index in np.unique(scan.layer):
        here = scan.layer == index
        minimum = minimum_particles(field.layers[index], field, beamline, energy_MeV_u)
        least[here] = minimum[scan.spot[here]]
    enough = particles >= least * (1.0 - ROUNDING)
    return particles[enough] if enough.any() else particles


def _intensity(particles: Floats, beam: IonBeam, energy_MeV_u: float, beamline: BeamLine) -> float:
    """The highest level at which no visit is shorter than the control can handle."""
    levels = beamline.facts.accelerator.intensity_levels
    shortest_us = beamline.facts.control.minimum_spot_time_us
    for level in levels:
        per_s = particles_per_s(beam, level, energy_MeV_u, beamline)
        if float(particles.min()) / per_s * 1e6 >= shortest_us * (1.0 - ROUNDING):
            return level
    return levels[-1]


def _beam_off(
    scan: _Scan, spot_us: Floats, moves: Moves, beamline: BeamLine, options: Options
) -> NDArray[np.bool_]:
    """Where the beam is switched off on the way to a spot.

    Beyond the threshold of distance; and where too much of the spot would be delivered on the way to it,
    unless the move takes no longer than the chopper needs to close: the magnets hold until the beam is
    off, so switching it off would leave as much at the spot before.
    """
    control, chopper = beamline.facts.control, beamline.facts.chopper
    share = options.beam_off_transit_share
    share = control.beam_off_transit_share if share is None else share
    distance_mm = np.hypot(np.diff(scan.x_mm, prepend=scan.x_mm[0]), np.diff(scan.y_mm, prepend=scan.y_mm[0]))
    transit_us = move_times_us(scan.x_mm, scan.y_mm, moves)
    painted = (transit_us > share * spot_us) & (transit_us > chopper.off_delay_us + chopper.off_ramp_us)
    far: NDArray[np.bool_] = distance_mm > jumps_of(beamline, options).threshold_mm
    return far | painted
