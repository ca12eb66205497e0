"""The dose of a plan or of what was delivered, with the plan that belongs to it and no other."""

from __future__ import annotations

from collections.abc import Mapping

from spotline.dose.engine.reconstruct import Progress
from spotline.dose.engine.sources import Source
from spotline.dose.evaluation.evaluate import DoseOptions
from spotline.dose.evaluation.evaluate import evaluate as evaluate_source
from spotline.dose.evaluation.findings import Evaluation
from spotline.dose.evaluation.patients import Met
from spotline.dose.grid import DoseGrid
from spotline.dose.structures import StructureSet
from spotline.errors import DoseError
from spotline.plan.model import Plan
from spotline.planning.delivered import plan_of_records
from spotline.treatment.treatment import Treatment


def evaluate(
    source: Source,
    patient: Met,
    *,
    plan: Plan | None = None,
    structures: StructureSet | None = None,
    prescribed_Gy: Mapping[str, float] | None = None,
    compare: Mapping[str, DoseGrid] | None = None,
    options: DoseOptions | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compute the doses of a plan or of what was delivered, compare them, and take statistics.

    Parameters
    ----------
    source : Treatment, Record, or sequence of Record
        Several records are added: fractions, fields, or an interrupted delivery and its continuation.  They
        must be of one patient (`spotline.plan_of_records` checks it), and each delivery there once.
    patient : CtPatient, WaterBox or Patient
        What the beams meet.
    plan : Plan, optional
        That the records were delivered from (`spotline.plan_of_records`): it says how the patient lies, and
        where isocentres are that the records do not hold.  Of a treatment it is known.
    structures : StructureSet, optional
        For statistics; in a CT, those whose stopping power the file sets have that.
    prescribed_Gy : mapping of str to float, optional
        What structures are to get of all that is computed, by name, for coverage, homogeneity and
        conformity: RBE-weighted dose with a model, else physical.
    compare : mapping of str to DoseGrid, optional
        Other doses to hold against, as references, by the name that they have in the outcome.  A dose of all
        fractions of the plan (summation PLAN, FRACTION or BEAM) or of one (FRACTION_SESSION, BEAM_SESSION)
        is scaled to as many as are computed.
    options : DoseOptions, optional
    progress : callable, optional
        Called with the layers that are done, and all.

    Returns
    -------
    Evaluation

    Raises
    ------
    DoseError
        If something does not go with the rest, or is not there; or the plan is not that of the treatment.
    LibraryError
        If a beam library cannot be had.
    RecordError
        If no record says which beam line delivered it, and none is given; or the records were not delivered
        from the plan, or are of several patients and a plan is given.

    Examples
    --------
    >>> import spotline
    >>> record = spotline.open_record("first-delivery")                  # doctest: +SKIP
    >>> found = spotline.evaluate(record, spotline.WaterBox(80.0))       # doctest: +SKIP
    >>> found.doses["measured"].dose_Gy.max()                            # doctest: +SKIP
    """
    if plan is not None:
        _check_is_of(plan, source)
    return evaluate_source(
        source,
        patient,
        plan=plan,
        structures=structures,
        prescribed_Gy=prescribed_Gy,
        compare=compare,
        options=options,
        progress=progress,
    )


def _check_is_of(plan: Plan, source: Source) -> None:
    """Refuse another plan: it would put the patient, the isocentres and the references elsewhere."""
    if not isinstance(source, Treatment):
        plan_of_records(source, plan)
    elif plan is not source.plan and plan.sha256 != source.plan.sha256:
        raise DoseError(
            f"{plan.path}: is not the plan of the treatment ({source.plan.path}); leave the plan away"
        )
