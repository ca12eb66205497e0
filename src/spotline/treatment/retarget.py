"""Move a plan to the energies of a beam line that lists others, and say what that changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from spotline.arrays import Floats
from spotline.machine import BeamLine
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.plan.model import Field, Layer, Plan
from spotline.treatment.conversions import delivered_energy, focus_of
from spotline.treatment.demands import obstacles_other_than_energies, refusal
from spotline.wording import layers_named, quoted, several

LARGEST_RANGE_CHANGE_mm = 3.0
"""A layer is not moved further.  Margins of clinics for the uncertainty of the range are 1 to 3 mm beside the
part that grows with it (Paganetti, Phys. Med. Biol. 57 (2012) R99, section 1); more is another plan."""


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What was changed in one layer.

    Attributes
    ----------
    field : int
        Beam number of its field.
    layer : int
        Its index in the field, from 0.
    planned_MeV_u, energy_MeV_u : float
        Energy before and after.
    range_change_mm : float
        By how much the Bragg peak in water moves deeper.
    planned_tune_id, tune_id : str
        Scan Spot Tune ID before and after.
    particles_change : float or None
        Relative change of the particles: 0 for a plan in particles; for one in monitor units it follows
        from the calibration of the line at both energies, and is None where that does not reach the
        planned one, or the line has none.
    shares_energy_with : tuple of int
        Other layers of the field that are now delivered with the same energy but were planned with
        another.  Neighbours become one slice.
    """

    field: int
    layer: int
    planned_MeV_u: float
    energy_MeV_u: float
    range_change_mm: float
    planned_tune_id: str
    tune_id: str
    particles_change: float | None
    shares_energy_with: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Retargeted:
    """A plan with energies and optics of a beam line.

    Attributes
    ----------
    plan : Plan
        The plan; the same as before if nothing had to be changed.
    changes : tuple of LayerChange
        One for each changed layer, in the order of the plan.
    layers : int
        Number of layers looked at.
    """

    plan: Plan
    changes: tuple[LayerChange, ...]
    layers: int

    def in_words(self) -> str:
        """Say what was changed, on one line."""
        moved = [change for change in self.changes if change.energy_MeV_u != change.planned_MeV_u]
        return "retargeted: " + "; ".join(
            [*_moved(moved, self.layers), *_shared(moved), *_particles(moved), *_tunes(self.changes)]
        )


def retarget(plan: Plan, beamline: BeamLine, *, field: int | None = None) -> Retargeted:
    """Give each layer whose energy the beam line does not have the one whose range in water is nearest.

    Of two that are equally near the lower one is taken, which spares what lies behind the target.  Spots,
    their weights and the number of layers stay as they are.  A tune that the line does not have becomes
    its default focus.  Layers that the line can deliver as planned are left alone.

    Parameters
    ----------
    plan : Plan
        What to deliver.
    beamline : BeamLine
        Where.
    field : int, optional
        Beam number of the only field to change; by default all of them.

    Returns
    -------
    Retargeted

    Raises
    ------
    PlanError
        If a layer would move by more than `LARGEST_RANGE_CHANGE_mm`, or the line has no such ion; the
        message has all such layers, and all other reasons why the line cannot deliver the fields.
    """
    chosen = plan.fields if field is None else (plan.field_by_number(field),)
    fields = list(plan.fields)
    reasons: list[tuple[Field, list[str]]] = []
    changes: list[LayerChange] = []
    refused = False
    for planned in chosen:
        moves = list(_moves(planned, beamline))
        too_far = [move for move in moves if not abs(move.range_change_mm) <= LARGEST_RANGE_CHANGE_mm]
        refused = refused or bool(too_far) or beamline.beam(planned.ion.name) is None
        changed = _with_layers(planned, [move.layer for move in moves])
        reasons.append((planned, [*_too_far(too_far, planned, beamline)]))
        reasons.append((planned, [*obstacles_other_than_energies(changed, beamline)]))
        of_field = list(_changes(planned, changed, moves, beamline))
        if of_field:
            fields[fields.index(planned)] = changed
        changes.extend(of_field)
    if refused:
        raise refusal(plan, beamline, reasons)
    new = replace(plan, fields=tuple(fields)) if changes else plan
    return Retargeted(new, tuple(changes), sum(len(f.layers) for f in chosen))


@dataclass(frozen=True, slots=True)
class _Move:
    """A layer as it is planned, and as the line has it."""

    planned: Layer
    layer: Layer
    range_change_mm: float


def _moves(field: Field, beamline: BeamLine) -> Iterator[_Move]:
    ion = field.ion.name
    if beamline.beam(ion) is None:  # nothing to go by
        yield from (_Move(layer, layer, 0.0) for layer in field.layers)
        return
    range_energy = RangeEnergy(field.ion, WATER)
    for layer in field.layers:
        tune_id = focus_of(layer, field, beamline) if layer.tune_id else ""
        energy, change_mm = layer.energy_MeV_u, 0.0
        if beamline.match_energy(ion, energy) is None:
            energy, change_mm = _nearest_in_range(energy, beamline, range_energy)
        yield _Move(layer, replace(layer, energy_MeV_u=energy, tune_id=tune_id), change_mm)


def _nearest_in_range(
    energy_MeV_u: float, beamline: BeamLine, range_energy: RangeEnergy
) -> tuple[float, float]:
    """Listed energy whose range is nearest, and how much deeper it reaches."""
    table = beamline.energies[range_energy.ion.name]
    deeper_mm = table.range_mm - _range_mm(energy_MeV_u, beamline, range_energy)
    if np.isnan(deeper_mm).any():
        return energy_MeV_u, np.nan
    # The slack makes a tie of what only rounding tells apart; argmax takes the first, the lower energy.
    nearest = int(np.argmax(np.abs(deeper_mm) <= np.abs(deeper_mm).min() + 1e-9))
    return float(table.energy_MeV_u[nearest]), float(deeper_mm[nearest])


def _range_mm(energy_MeV_u: float, beamline: BeamLine, range_energy: RangeEnergy) -> float:
    """Range on the scale of the line's table, continued beyond its ends by the calculated one.

    NaN where neither reaches.
    """
    table = beamline.energies[range_energy.ion.name]
    end = float(np.clip(energy_MeV_u, table.energy_MeV_u[0], table.energy_MeV_u[-1]))
    if len(table.energy_MeV_u) == 1:
        end = float(table.energy_MeV_u[0])
    at_end_mm = float(beamline.range_mm(range_energy.ion.name, end))
    if end == energy_MeV_u:
        return at_end_mm
    calculated_mm: Floats = range_energy.range_mm([energy_MeV_u, end])
    return at_end_mm + float(calculated_mm[0] - calculated_mm[1])


def _with_layers(field: Field, layers: list[Layer]) -> Field:
    """The field with other layers; instructions go with the energies that they were made for."""
    same = all(a.energy_MeV_u == b.energy_MeV_u for a, b in zip(field.layers, layers, strict=True))
    return replace(field, layers=tuple(layers), instructions=field.instructions if same else ())


def _too_far(moves: list[_Move], field: Field, beamline: BeamLine) -> Iterator[str]:
    if not moves:
        return
    far = ", ".join(
        f"layer {move.planned.index} {move.planned.energy_MeV_u:g} MeV/u"
        + (
            " of unknown range"
            if np.isnan(move.range_change_mm)
            else f" by {move.range_change_mm:+.1f} mm to {move.layer.energy_MeV_u:g}"
        )
        for move in moves
    )
    listed = beamline.energies[field.ion.name].energy_MeV_u
    yield (
        f"retargeting would move the range of {several(len(moves), 'layer')} by more than "
        f"{LARGEST_RANGE_CHANGE_mm:g} mm of water ({far}): plan with the energies of the beam line, "
        f"{listed[0]:g} to {listed[-1]:g} MeV/u"
    )


def _changes(planned: Field, changed: Field, moves: list[_Move], beamline: BeamLine) -> Iterator[LayerChange]:
    before = [delivered_energy(layer, planned, beamline) for layer in planned.layers]
    after = [delivered_energy(layer, changed, beamline) for layer in changed.layers]
    for i, move in enumerate(moves):
        old, new = move.planned, move.layer
        if old.energy_MeV_u == new.energy_MeV_u and old.tune_id == new.tune_id:
            continue
        shares = [
            changed.layers[k].index
            for k in range(len(moves))
            if after[k] == after[i] and before[k] != before[i]
        ]
        yield LayerChange(
            field=planned.number,
            layer=old.index,
            planned_MeV_u=old.energy_MeV_u,
            energy_MeV_u=new.energy_MeV_u,
            range_change_mm=move.range_change_mm,
            planned_tune_id=old.tune_id,
            tune_id=new.tune_id,
            particles_change=_particles_change(planned, old.energy_MeV_u, new.energy_MeV_u, beamline),
            shares_energy_with=tuple(shares),
        )


def _particles_change(
    field: Field, planned_MeV_u: float, new_MeV_u: float, beamline: BeamLine
) -> float | None:
    if field.unit == "NP" or planned_MeV_u == new_MeV_u:
        return 0.0
    per_MU = beamline.particles_per_MU(field.ion.name, [planned_MeV_u, new_MeV_u])
    if per_MU is None or np.isnan(per_MU).any():
        return None
    return float(per_MU[1] / per_MU[0] - 1.0)


def _moved(moved: list[LayerChange], layers: int) -> Iterator[str]:
    if not moved:
        yield f"all energies of {several(layers, 'layer')} are those of the beam line"
        return
    size_mm = np.abs([change.range_change_mm for change in moved])
    largest = moved[int(np.argmax(size_mm))]
    yield (
        f"{len(moved)} of {several(layers, 'layer')} to another energy, their range by {size_mm.mean():.2f} "
        f"mm of water on average and {size_mm.max():.2f} mm at most (field {largest.field} layer "
        f"{largest.layer}, {largest.planned_MeV_u:g} to {largest.energy_MeV_u:g} MeV/u, "
        f"{largest.range_change_mm:+.2f} mm)"
    )


def _shared(moved: list[LayerChange]) -> Iterator[str]:
    groups: dict[tuple[int, float], set[int]] = {}
    for change in moved:
        if change.shares_energy_with:
            group = groups.setdefault((change.field, change.energy_MeV_u), set())
            group.update([change.layer, *change.shares_energy_with])
    for (field, energy), layers in groups.items():
        yield f"field {field} {layers_named(layers)} now at one energy, {energy:g} MeV/u"


def _particles(moved: list[LayerChange]) -> Iterator[str]:
    """What the calibration of monitor units makes of the particles."""
    known = [change for change in moved if change.particles_change]
    if known:
        largest = max(known, key=lambda change: abs(change.particles_change or 0.0))
        yield (
            f"particles per MU by up to {largest.particles_change:+.2%} (field {largest.field} layer "
            f"{largest.layer})"
        )
    unknown = sum(change.particles_change is None for change in moved)
    if unknown:
        yield f"particles per MU unknown at the planned energy of {several(unknown, 'layer')}"


def _tunes(changes: Iterable[LayerChange]) -> Iterator[str]:
    retuned = [change for change in changes if change.tune_id != change.planned_tune_id]
    if retuned:
        yield (
            f"ScanSpotTuneID {quoted(change.planned_tune_id for change in retuned)} to "
            f"{quoted(change.tune_id for change in retuned)} in {several(len(retuned), 'layer')}"
        )
