"""What a preparation decided, as plain data (``preparation.json``)."""

from __future__ import annotations

import numpy as np

from spotline.machine import BeamLine
from spotline.planning.prepared.headers import PathFigures, PreparationFile, PreparedField, PreparedSlice
from spotline.planning.prepared.layout import folder_of
from spotline.treatment.cycle_code import in_words
from spotline.treatment.duration import Duration, FieldDuration, predict_duration
from spotline.treatment.instructing import jumps_of
from spotline.treatment.options import Options
from spotline.treatment.path import measure_path
from spotline.treatment.retarget import Retargeted
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment

FORMAT = "spotline-preparation"
VERSION = 1


def summarize(
    treatment: Treatment, options: Options | None = None, retargeted: Retargeted | None = None
) -> PreparationFile:
    """Say what was decided: order, jumps, intensities, repainting, times, spills, warnings.

    Parameters
    ----------
    treatment : Treatment
        The prepared treatment.
    options : Options, optional
        What was asked for; None if the treatment follows the instructions in its plan.
    retargeted : Retargeted, optional
        What was changed in the plan for this beam line.

    Returns
    -------
    PreparationFile
        As it stands in ``preparation.json``, without the list of files.
    """
    plan, line = treatment.plan, treatment.beamline
    durations = [predict_duration(field, line) for field in treatment.fields]
    fields = tuple(
        _field(field, duration, line, options or Options())
        for field, duration in zip(treatment.fields, durations, strict=True)
    )
    return PreparationFile(
        format=FORMAT,
        version=VERSION,
        plan=plan.path.name,
        plan_label=plan.label,
        plan_sha256=plan.sha256,
        beamline=line.name,
        beamline_version=line.facts.version,
        beamline_sha256=line.sha256,
        options="as in the plan" if options is None else options,
        retargeted=None if retargeted is None else retargeted.changes,
        predicted_beam_on_s=sum(field.predicted_beam_on_s for field in fields),
        predicted_treatment_s=sum(field.predicted_treatment_s for field in fields),
        predicted_spills=sum(field.predicted_spills for field in fields),
        spots=sum(field.spots for field in fields),
        visits=sum(field.visits for field in fields),
        particles=sum(field.particles for field in fields),
        warnings=tuple(f"field {f.field.number}: {text}" for f in treatment.fields for text in f.warnings),
        fields=fields,
    )


def _field(field: FieldTreatment, duration: FieldDuration, line: BeamLine, options: Options) -> PreparedField:
    slices = tuple(
        _slice(slice_, predicted, field, line, options)
        for slice_, predicted in zip(field.slices, duration.slices, strict=True)
    )
    predicted = duration.total
    return PreparedField(
        number=field.field.number,
        name=field.field.name,
        folder=folder_of(field),
        ion=field.field.ion.name,
        passive_elements=field.passive_elements,
        spots=field.field.n_spots,
        visits=field.n_spots,
        paintings=int(max(slice_.painting.max() for slice_ in field.slices)) + 1,
        particles=field.particles,
        predicted_spills=predicted.spills,
        predicted_treatment_s=predicted.treatment_s,
        predicted_beam_on_s=predicted.beam_on_s,
        predicted_transit_s=predicted.transit_s,
        predicted_ramp_s=predicted.ramp_s,
        predicted_pause_s=predicted.pause_s,
        predicted_gap_s=predicted.gap_s,
        beam_off_jumps=sum(slice_.beam_off_jumps for slice_ in slices),
        slices=slices,
    )


def _slice(
    slice_: Slice, predicted: Duration, field: FieldTreatment, line: BeamLine, options: Options
) -> PreparedSlice:
    moves = line.moves(field.beam.name, slice_.energy_MeV_u)
    jumps = jumps_of(line, options)
    planned = np.lexsort((slice_.planned_spot, slice_.planned_layer, slice_.painting))
    new = measure_path(slice_.x_iso_mm, slice_.y_iso_mm, moves, jumps)
    old = measure_path(slice_.x_iso_mm[planned], slice_.y_iso_mm[planned], moves, jumps)
    return PreparedSlice(
        index=slice_.index,
        energy_MeV_u=slice_.energy_MeV_u,
        focus=slice_.focus,
        intensity_level=slice_.intensity_level,
        cycle_code=f"{slice_.cycle_code:010x}",
        cycle_code_in_words=in_words(slice_.cycle_code, line),
        layers=tuple(np.unique(slice_.planned_layer).tolist()),
        paintings=tuple(np.unique(slice_.painting).tolist()),
        visits=slice_.n_spots,
        particles=float(slice_.particles.sum()),
        smallest_visit_particles=float(slice_.particles.min()),
        shortest_visit_us=float(slice_.particles.min()) / slice_.particles_per_s * 1e6,
        order="planned" if np.array_equal(planned, np.arange(slice_.n_spots)) else "shortest",
        path=PathFigures(**new._asdict()),
        planned_path=PathFigures(**old._asdict()),
        beam_off_jumps=int(slice_.beam_off.sum()),
        predicted_spills=predicted.spills,
        predicted_treatment_s=predicted.treatment_s,
        predicted_beam_on_s=predicted.beam_on_s,
        predicted_transit_s=predicted.transit_s,
        predicted_ramp_s=predicted.ramp_s,
        predicted_pause_s=predicted.pause_s,
        predicted_gap_s=predicted.gap_s,
    )
