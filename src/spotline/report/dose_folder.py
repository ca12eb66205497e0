"""What `spotline dose` leaves behind: RT Dose files, figures as JSON, and a page, all of them or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spotline.beamline.load import BeamLine
from spotline.dicom.dose import write_dose
from spotline.dose.compare import USUAL, Comparison, compare_doses
from spotline.dose.dvh import DoseStatistics, dose_statistics
from spotline.dose.grid import DoseGrid, Float32s
from spotline.dose.masks import Mask
from spotline.dose.metaimage import write_metaimage
from spotline.engine.beams import What
from spotline.engine.reconstruct import Reconstruction
from spotline.errors import DoseError, OutputError

JSON = "dose.json"
PAGE = "report.html"
FORMAT = "spotline-dose"
VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What was computed, from what.

    Attributes
    ----------
    title : str
        Name of the plan or record.
    reconstruction : Reconstruction
    beamline : BeamLine
    image : ndarray of float32, shape (nz, ny, nx)
        What the beams met, on the dose grid, to draw the dose over.
    image_kind : str
        What its numbers are: ``"HU"`` or ``"stopping power"``.
    structures : tuple of Mask
        On the dose grid.
    prescribed_Gy : mapping of str to float
        What structures are to get, by name: RBE-weighted dose with a model, else physical.
    with_letd : bool
        Whether maps of the LET are wanted.
    compare : DoseGrid or None
        Another dose to hold against, and its name.
    compare_name : str
    rbe : str
        Name of the model; empty without.
    inputs : tuple of dict
        ``role``, ``name`` and ``sha256`` of all that was read.
    identity : mapping of str to str
        Patient and study, by DICOM keyword.
    frame_of_reference_uid, plan_uid : str
    record_uids : tuple of str
        Of the DICOM treatment records; empty if there are none.
    fraction_group : int
    notes : tuple of str
        What the reader has to know.
    """

    title: str
    reconstruction: Reconstruction
    beamline: BeamLine
    image: Float32s
    image_kind: str
    structures: tuple[Mask, ...] = ()
    prescribed_Gy: Mapping[str, float] = field(default_factory=dict)
    with_letd: bool = False
    compare: DoseGrid | None = None
    compare_name: str = ""
    rbe: str = ""
    inputs: tuple[dict[str, str], ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    frame_of_reference_uid: str = ""
    plan_uid: str = ""
    record_uids: tuple[str, ...] = ()
    fraction_group: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two doses and what is between them."""

    names: tuple[str, str]
    reference: DoseGrid
    evaluated: DoseGrid
    comparison: Comparison


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What is said about the doses of a case.

    Attributes
    ----------
    compared : tuple of Compared
        Measured and true dose with the planned one, and all with the dose that was given.
    statistics : dict of str to dict of str to DoseStatistics
        By structure and name of the dose.
    letd_keV_um : dict of str to dict of str to float
        Mean over a structure, weighted with dose; by structure, and planned, measured or true.  Structures
        without dose have none.
    """

    compared: tuple[Compared, ...]
    statistics: dict[str, dict[str, DoseStatistics]]
    letd_keV_um: dict[str, dict[str, float]]


def doses_of(reconstruction: Reconstruction) -> dict[str, DoseGrid]:
    """All doses by the name that their files have."""
    found: dict[str, DoseGrid] = {}
    for what, dose in reconstruction.doses.items():
        found[what] = dose.physical
        if dose.effective is not None:
            found[f"{what}-effective"] = dose.effective
    return found


def look_at(case: Case) -> Findings:
    """Compare the doses, and take the statistics of the structures.

    Raises
    ------
    DoseError
        If the dose to compare with is of another kind or place.
    """
    doses = doses_of(case.reconstruction)
    compared = [
        _compared(("planned", name), doses["planned"], doses[name])
        for name in ("measured", "true")
        if "planned" in doses and name in doses and doses["planned"].dose_Gy.max() > 0.0
    ]
    if case.compare is not None:
        alike = {name: dose for name, dose in doses.items() if dose.kind == case.compare.kind}
        if not alike:
            raise DoseError(
                f"{case.compare_name}: holds {case.compare.kind} dose, but none of that kind was computed; "
                "give --rbe (such as constant for protons)"
            )
        compared += [_compared((case.compare_name, name), case.compare, dose) for name, dose in alike.items()]
    statistics = {
        mask.name: {
            name: dose_statistics(
                dose,
                mask.share,
                prescription_Gy=_prescribed_Gy(case, mask, dose),
                name=mask.name,
                outside_cm3=mask.outside_cm3,
            )
            for name, dose in doses.items()
        }
        for mask in case.structures
    }
    letd = {mask.name: _mean_letd(case.reconstruction, mask) for mask in case.structures}
    return Findings(tuple(compared), statistics, letd)


def _prescribed_Gy(case: Case, mask: Mask, dose: DoseGrid) -> float | None:
    """What a structure is to get of a kind of dose: with a model of the RBE weighted dose counts."""
    kind = "effective" if case.rbe else "physical"
    return case.prescribed_Gy.get(mask.name) if dose.kind == kind else None


def _mean_letd(reconstruction: Reconstruction, mask: Mask) -> dict[str, float]:
    found = {}
    for what, dose in reconstruction.doses.items():
        weight = (mask.share * dose.physical.dose_Gy)[dose.letd_keV_um > 0.0].astype(float)
        if weight.sum() > 0.0:
            letd = dose.letd_keV_um[dose.letd_keV_um > 0.0]
            found[str(what)] = float(np.average(letd, weights=weight))
    return found


def _compared(names: tuple[str, str], reference: DoseGrid, evaluated: DoseGrid) -> Compared:
    return Compared(names, reference, evaluated, compare_doses(reference, evaluated, criteria=USUAL))


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
    from spotline.report.dose_case_page import write_case_page

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


def rates(compared: Sequence[Compared]) -> list[str]:
    """The first gamma of each comparison, in words."""
    lines = []
    for one in compared:
        gamma, found = one.comparison.gammas[0], one.comparison
        lines.append(
            f"{one.names[1]} against {one.names[0]}: {100.0 * gamma.pass_rate:.2f} % pass {gamma.name}; "
            f"difference {100.0 * found.mean_Gy / found.normalisation_Gy:+.2f} % in the mean, "
            f"{100.0 * found.largest_Gy / found.normalisation_Gy:.2f} % at most"
        )
    return lines
