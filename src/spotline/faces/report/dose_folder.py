"""What `spotline dose` leaves behind: RT Dose files, figures as JSON, and a page, all of them or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spotline.dicom.dose import write_dose
from spotline.dose.engine.beams import What
from spotline.dose.grid import DoseGrid
from spotline.dose.metaimage import write_metaimage
from spotline.errors import OutputError
from spotline.faces.report.dose_case import Case, Findings, doses_of

JSON = "dose.json"
PAGE = "report.html"
FORMAT = "spotline-dose"
VERSION = 1


def check_free(folder: Path) -> None:
    """Refuse a folder that has something in it, before any work is done for it.

    Raises
    ------
    OutputError
        If it is not free.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is not empty; choose another folder for the dose")


def write_dose_folder(case: Case, findings: Findings, folder: Path) -> None:
    """Write RT Dose files, ``dose.json`` and ``report.html``: all of them or nothing.

    Raises
    ------
    OutputError
        If the folder is not free or cannot be written.
    """
    from spotline.faces.report.dose_case_page import write_case_page

    with _whole(folder) as part:
        for name, dose in doses_of(case.reconstruction).items():
            write_dose(_named(case, name, dose), part / f"{name}.dcm", identity=case.identity)
        for what, summed in case.reconstruction.doses.items():
            for number, dose in summed.fields.items():
                write_dose(
                    _named(case, f"{what} field {number}", dose, number),
                    part / f"{what}-field-{number:02d}.dcm",
                    identity=case.identity,
                )
            if case.with_letd:
                grid = summed.physical.grid
                write_metaimage(summed.letd_keV_um, grid, part / f"{what}-letd.mha")
        said = json.dumps(as_dict(case, findings), indent=2, ensure_ascii=False)
        (part / JSON).write_text(said + "\n", encoding="utf-8")
        write_case_page(case, findings, part / PAGE)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is wanted, which takes its place when all is in it."""
    check_free(folder)
    part = folder.parent / f".{folder.name}.{os.getpid()}.partial"
    try:
        part.mkdir(parents=True)
        try:
            yield part
            part.rename(folder)  # takes the place of an empty folder too
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        check_free(folder)
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def _named(case: Case, name: str, dose: DoseGrid, beam: int | None = None) -> DoseGrid:
    """What DICOM wants to know: of what the dose is, of which plan and of which records."""
    is_planned = name.startswith("planned")
    fractions = case.reconstruction.fractions
    comment = f"{name}, {fractions} fraction{'s' if fractions > 1 else ''}"
    if case.rbe and dose.kind == "effective":
        comment += f", RBE {case.rbe}"
    if case.record_uids and not is_planned and beam is None:
        summation = "RECORD"
    elif beam is not None:
        summation = "BEAM_SESSION"
    else:
        summation = "FRACTION_SESSION" if fractions == 1 else "FRACTION"
    return replace(
        dose,
        frame_of_reference_uid=case.frame_of_reference_uid,
        summation=summation,
        plan_uid=case.plan_uid,
        record_uids=case.record_uids if summation == "RECORD" else (),
        fraction_group=case.fraction_group,
        beam_number=beam,
        comment=comment,
    )


def as_dict(case: Case, findings: Findings) -> dict[str, Any]:
    """All figures, as for JSON."""
    done = case.reconstruction
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": case.title,
        "engine": {
            "model": "pencil beams of a library, dose to water",
            "beamline": case.beamline.name,
            "beamline_sha256": case.beamline.sha256,
            "libraries": {ion: _library(library.header) for ion, library in done.libraries.items()},
            "rbe": case.rbe or None,
        },
        "inputs": list(case.inputs),
        "grid": {
            "origin_mm": list(done.grid.origin_mm),
            "spacing_mm": list(done.grid.spacing_mm),
            "shape": list(done.grid.shape),
        },
        "fractions": done.fractions,
        "notes": list(case.notes),
        "doses": {what: _figures(case, what) for what in done.doses},
        "comparisons": [
            {"reference": one.names[0], "evaluated": one.names[1], **one.comparison.as_dict()}
            for one in findings.compared
        ],
        "structures": {
            name: {dose: statistics.as_dict() for dose, statistics in by_dose.items()}
            for name, by_dose in findings.statistics.items()
        },
        "letd_keV_um": findings.letd_keV_um,
    }


def _figures(case: Case, what: What) -> dict[str, Any]:
    dose = case.reconstruction.doses[what]
    return {
        "particles": dose.particles,
        "maximum_Gy": float(dose.physical.dose_Gy.max()),
        "maximum_effective_Gy": None if dose.effective is None else float(dose.effective.dose_Gy.max()),
        "maximum_letd_keV_um": float(dose.letd_keV_um.max()),
        "integral_Gy_cm3": float(dose.physical.dose_Gy.sum(dtype=float)) * dose.physical.grid.voxel_cm3,
    }


def _library(header: Mapping[str, Any]) -> dict[str, Any]:
    return {key: header.get(key) for key in ("beamline", "primaries", "seed", "physics_sha256", "versions")}
