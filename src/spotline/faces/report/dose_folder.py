"""What `spotline dose` leaves behind: RT Dose files, figures as JSON, and a page, all of them or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spotline.dicom.dose import write_dose
from spotline.dose.evaluation.findings import Evaluation
from spotline.dose.grid import DoseGrid
from spotline.dose.metaimage import write_metaimage
from spotline.errors import OutputError
from spotline.machine.library.letd import letd_in_words
from spotline.plan.model import Plan
from spotline.whole_folder import whole_folder

JSON = "dose.json"
PAGE = "report.html"
FORMAT = "spotline-dose"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """Where a dose comes from, as its files tell it.

    Attributes
    ----------
    title : str
        Name of the plan or of the records.
    inputs : tuple of dict
        ``role``, ``name`` and ``sha256`` of all that was read.
    plan : Plan or None
        Says who the patient is, and what RT Dose files refer to.
    record_uids : tuple of str
        Of the DICOM treatment records; empty if there are none.
    """

    title: str
    inputs: tuple[dict[str, str], ...]
    plan: Plan | None = None
    record_uids: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """Patient and study, by DICOM keyword."""
        return {} if self.plan is None else dict(self.plan.identity)


def check_free(folder: Path) -> None:
    """Refuse a folder that has something in it, before any work is done for it.

    Raises
    ------
    OutputError
        If it is not free.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is not empty; choose another folder for the dose")


def write_dose_folder(
    evaluation: Evaluation,
    provenance: Provenance,
    folder: Path,
    *,
    with_letd: bool = False,
    with_page: bool = True,
) -> None:
    """Write RT Dose files, ``dose.json`` and ``report.html``, and maps of the LET: all of them or nothing.

    Parameters
    ----------
    evaluation : Evaluation
    provenance : Provenance
    folder : Path
        New, or empty.
    with_letd, with_page : bool
        Whether to write maps of the LET, and ``report.html``.

    Raises
    ------
    OutputError
        If the folder is not free or cannot be written.
    """
    from spotline.faces.report.evaluation_page import write_evaluation_page

    identity = provenance.identity
    with _whole(folder) as part:
        for name, dose in evaluation.doses.items():
            write_dose(_named(evaluation, provenance, name, dose), part / f"{name}.dcm", identity=identity)
        for what, summed in evaluation.reconstruction.doses.items():
            for number, dose in summed.fields.items():
                write_dose(
                    _named(evaluation, provenance, f"{what} field {number}", dose, number),
                    part / f"{what}-field-{number:02d}.dcm",
                    identity=identity,
                )
            if with_letd:
                grid = summed.physical.grid
                said = f"LETd in keV/um of {letd_in_words(evaluation.reconstruction.letd_of)}"
                write_metaimage(summed.letd_keV_um, grid, part / f"{what}-letd.mha", said)
        said = json.dumps(as_dict(evaluation, provenance), indent=2, ensure_ascii=False)
        (part / JSON).write_text(said + "\n", encoding="utf-8")
        if with_page:
            write_evaluation_page(evaluation, provenance, part / PAGE)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is wanted, which takes its place when all is in it."""
    check_free(folder)
    try:
        with whole_folder(folder) as part:
            yield part
    except OSError as error:
        check_free(folder)
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def _named(
    evaluation: Evaluation, provenance: Provenance, name: str, dose: DoseGrid, beam: int | None = None
) -> DoseGrid:
    """What DICOM wants to know: of what the dose is, of which plan and of which records."""
    is_planned = name.startswith("planned")
    fractions, plan = evaluation.fractions, provenance.plan
    comment = f"{name}, {fractions} fraction{'s' if fractions > 1 else ''}"
    if evaluation.rbe and dose.kind == "effective":
        comment += f", RBE {evaluation.rbe}"
    if provenance.record_uids and not is_planned and beam is None:
        summation = "RECORD"
    elif beam is not None:
        summation = "BEAM_SESSION" if fractions == 1 else "BEAM"
    else:
        summation = "FRACTION_SESSION" if fractions == 1 else "FRACTION"
    return replace(
        dose,
        frame_of_reference_uid=evaluation.patient.frame_of_reference_uid,
        summation=summation,
        plan_uid=provenance.identity.get("SOPInstanceUID", ""),
        record_uids=provenance.record_uids if summation == "RECORD" else (),
        fraction_group=1 if plan is None else plan.fraction_group,
        beam_number=beam,
        comment=comment,
    )


def as_dict(evaluation: Evaluation, provenance: Provenance) -> dict[str, Any]:
    """All figures and where they come from, as for JSON."""
    found = evaluation.as_dict()
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": provenance.title,
        "engine": found.pop("engine"),
        "inputs": list(provenance.inputs),
        **found,
    }
