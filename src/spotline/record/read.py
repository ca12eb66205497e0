"""Open a record: from the files of a delivery to the tables of `spotline.record.model`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from spotline.errors import RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written, keys_of, typed
from spotline.record.account import Account, account_of
from spotline.record.assembly import FieldContent, assemble
from spotline.record.delivery_file import NAME as DELIVERY
from spotline.record.delivery_file import check_folder, read_delivery
from spotline.record.folder import FIELD_HEADER, SUMMARY
from spotline.record.headers import FieldFile
from spotline.record.journal import NAME as JOURNAL
from spotline.record.model import FieldRecord, Record
from spotline.record.recovered import INTERRUPTED, FieldState, field_header, read_state, recover_spill
from spotline.record.spill_file import Spill, read_spill, spill_path
from spotline.record.summary import summarize
from spotline.record.summary_file import summary_of
from spotline.record.witnesses import read_states
from spotline.treatment.headers import DeliveryHeader
from spotline.treatment.treatment_file import NAME, read_treatment_file


def open_record(path: str | Path) -> Record:
    """Open the record of a delivery.

    Parameters
    ----------
    path : str or Path
        Folder that a delivery wrote.

    Returns
    -------
    Record

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered, or if a delivery has not come to its end and a journal
        knows less than the other files of the record.
    """
    folder = Path(path)
    check_folder(folder)
    if not (folder / SUMMARY).exists() and (folder / DELIVERY).exists():
        return _open_unfinished(folder)
    keys = read_json(folder / SUMMARY)
    summary = summary_of(keys, folder / SUMMARY)
    fields = tuple(open_field(folder / said.folder) for said in summary.fields)
    is_old = [said.status for said in summary.fields] != [field.outcome.status for field in fields]
    if is_old and (folder / DELIVERY).exists():
        return _open_unfinished(folder)  # somebody went on with the delivery, and has not come to an end
    return Record(folder, keys, fields)


def _open_unfinished(folder: Path) -> Record:
    """Open what there is of a delivery that has not come to an end."""
    delivery = read_delivery(folder)
    fields = [
        open_field(folder / said.folder)
        for said, state in zip(delivery.fields, read_states(folder, delivery), strict=True)
        if state.begun is not None
    ]
    return Record(folder, keys_of(summarize(delivery, fields, wall_s=0.0)), tuple(fields))


def open_field(folder: Path) -> FieldRecord:
    """Open the record of one field."""
    content = read_content(folder)
    said = _field_keys(folder, content.state)
    with as_written(folder / FIELD_HEADER):
        n_spills = typed(FieldFile, said).spills
    recovered = recover_spill(folder, content.state, content.slices)
    n_files = n_spills - (recovered is not None)
    check_number_of_spills(folder, n_files)
    content.spills = _read_spill_files(content, n_files)
    if recovered is not None:
        content.spills.append(recovered)
    return assemble(content, said)


def check_number_of_spills(folder: Path, n_files: int) -> None:
    """Check that there are as many spill files in the folder of a field as it is said to have.

    That is said by ``field.json`` or, of a delivery that has not come to an end, by the journal.

    Raises
    ------
    RecordError
        If there are not.
    """
    found = len(list((folder / "spills").glob("spill-*.h5")))
    if found != n_files:
        by = FIELD_HEADER if (folder / FIELD_HEADER).exists() else JOURNAL
        raise RecordError(
            f"{folder}: {found} spill files, but {by} tells of {n_files}; restore them from a copy"
        )


def read_content(folder: Path, state: FieldState | None = None) -> FieldContent:
    """Read the treatment file of a field, and its journal unless its state is known; no spill is read yet.

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered.
    """
    treatment = read_treatment_file(folder, DeliveryHeader)
    return FieldContent.of_treatment(folder, treatment, read_state(folder) if state is None else state)


def read_spills(content: FieldContent) -> list[Spill]:
    """Read all spills that a journal tells of; the last one from the journal, if it has no file.

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered.
    """
    state = content.state
    recovered = recover_spill(content.folder, state, content.slices)
    spills = _read_spill_files(content, state.spills - (recovered is not None))
    return [*spills, recovered] if recovered is not None else spills


def read_account(folder: Path) -> Account:
    """Make the account in counts of a field that was begun, to the end of its record.

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered.
    """
    content = read_content(folder)
    return account_of(content.slices, read_spills(content))


def _field_keys(folder: Path, state: FieldState) -> Mapping[str, Any]:
    """What is known of the delivery as a whole: from ``field.json`` unless the journal has gone on since."""
    path = folder / FIELD_HEADER
    if state.begun is None or (path.exists() and state.status != INTERRUPTED):
        keys = read_json(path)
        with as_written(path):
            is_old = state.begun is not None and int(keys["journal_entries"]) < state.entries
        if not is_old:
            return keys
    delivery = folder.parent / DELIVERY
    said = read_json(delivery) if delivery.exists() else {}
    known = {name: said[name] for name in ("started", "fraction", "operator") if name in said}
    return keys_of(msgspec.structs.replace(field_header(state), **known))


def _read_spill_files(content: FieldContent, n_files: int) -> list[Spill]:
    return [_read_own_spill(content, number) for number in range(1, n_files + 1)]


def _read_own_spill(content: FieldContent, number: int) -> Spill:
    """Read a spill file and check that it belongs to the treatment."""
    path, treatment = spill_path(content.folder, number), content.folder / NAME
    spill = read_spill(path)
    with as_written(path):
        for key in ("plan_sha256", "beamline_sha256", "seed"):
            if getattr(spill.header, key) != getattr(content.header, key):
                raise RecordError(
                    f"{path}: {key} is not that of {treatment}; restore the spill of this delivery"
                )
        if spill.header.spill != number:
            raise ValueError(f"it is spill {spill.header.spill}")
        n_spots = content.slices[spill.header.slice].n_spots
        if not 0 <= spill.spots.min() <= spill.spots.max() < n_spots:
            raise ValueError(f"its slice has {n_spots} spots")
    return spill
