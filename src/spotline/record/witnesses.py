"""What in a record tells how far its delivery was, apart from the journals, and whether they know as much.

The journal is on the disk before anything that is made of it: before the memory boards are loaded, before a
spill file is published, before a document is written.  So a journal that knows less than any other file of
its record is not the last one of the delivery: it was lost, cut, or replaced with an older copy.  Whoever
goes on from it delivers again what was delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import UNSET

from spotline.errors import RecordError
from spotline.hdf5 import as_written, typed
from spotline.record import journal
from spotline.record.entries import OverEntry, SpillEntry
from spotline.record.field_file import read_field_file
from spotline.record.folder import CONTINUATION, DICOM_RECORD, FIELD_HEADER, STATUS, SUMMARY
from spotline.record.headers import DeliveryFile
from spotline.record.log import NAME as LOG
from spotline.record.recovered import FieldState, read_state
from spotline.record.spill_file import read_spill, spill_path
from spotline.record.status_file import read_status
from spotline.record.summary_file import read_summary
from spotline.storage import sha256_of
from spotline.treatment.treatment_file import NAME as TREATMENT
from spotline.treatment.treatment_file import read_treatment_file


def read_states(folder: Path, delivery: DeliveryFile) -> list[FieldState]:
    """Read the journals of all fields of a delivery, and hold them against everything else in its folder.

    Parameters
    ----------
    folder : Path
        Of the record.
    delivery : DeliveryFile

    Returns
    -------
    list of FieldState
        In the order of delivery.

    Raises
    ------
    RecordError
        If a journal was altered, or knows less than another file.
    """
    while True:
        states = [read_state(folder / field.folder) for field in delivery.fields]
        contradiction = next(_contradictions(folder, delivery, states), None)
        if contradiction is None:
            return states
        again = [read_state(folder / field.folder).entries for field in delivery.fields]
        if again == [state.entries for state in states]:  # else it is being delivered, and more was noted
            raise RecordError(contradiction)


def _contradictions(folder: Path, delivery: DeliveryFile, states: Sequence[FieldState]) -> Iterator[str]:
    """What another file knows that a journal does not, and what to do."""
    folders = [folder / field.folder for field in delivery.fields]
    for index, (field, state) in enumerate(zip(folders, states, strict=True)):
        for path, says in (
            *_in_field_files(field, state),
            *_in_the_summary(folder, field.name, state),
            *_in_the_status(folder / STATUS, index, state),
            *_in_later_fields(folders[index + 1 :], states[index + 1 :], state),
        ):
            yield (
                f"{field / journal.NAME}: {_said(field, state)}, but {path} {says}; to go on from this "
                "journal would deliver again what was delivered: restore the last one from a copy"
            )
    copy = folder / CONTINUATION
    if copy.exists() and given_up_for(states) is None:
        yield (
            f"{folder}: no journal tells that the rest was given up, but {copy} is the plan that delivers "
            "it; restore the last journals from a copy, or deliver that plan"
        )


def check_spill_files(folder: Path, state: FieldState) -> None:
    """Check that the spill files of a field are those that its journal tells of.

    Parameters
    ----------
    folder : Path
        Of the field.
    state : FieldState
        From its journal.

    Raises
    ------
    RecordError
        If one is missing or another.
    """
    for number, stored in state.stored.items():
        path = spill_path(folder, number)
        if not path.is_file() or sha256_of(path) != stored.sha256:
            raise _other_file(path)
    path = spill_path(folder, state.spills)
    if not state.open_spill or not path.exists():
        return
    # Published, but nobody noted its hash: its header must be what was announced, and what came of it.
    header = read_spill(path).header
    with as_written(folder / journal.NAME):
        first, last = state.open_spill[0], state.open_spill[-1]
        announced = typed(SpillEntry, first.values).header
        said = typed(OverEntry, last.values).header if last.kind == journal.OVER else announced
    for name in said.__struct_fields__:
        if name != "recovered" and getattr(header, name) != getattr(said, name):
            raise _other_file(path)


def given_up_for(states: Sequence[FieldState]) -> str | None:
    """SOP Instance UID of the continuation plan that a record's rest was given up for; None if it was not."""
    return next((state.given_up for state in states if state.given_up is not None), None)


def _other_file(path: Path) -> RecordError:
    return RecordError(f"{path}: is not the file that {journal.NAME} tells of; restore it from a copy")


def _said(folder: Path, state: FieldState) -> str:
    """What the journal says, in words."""
    if not (folder / journal.NAME).exists():
        return "is missing"
    if state.begun is None:
        return "has no whole entry"
    return f"ends after {state.entries} entries in or behind spill {state.spills}, {state.status}"


def _in_field_files(folder: Path, state: FieldState) -> Iterator[tuple[Path, str]]:
    """What the files of the field know that the journal does not."""
    if state.begun is None:
        for name in (FIELD_HEADER, "spills", LOG, DICOM_RECORD):
            if (folder / name).exists():
                yield folder / name, "was made after its first entry"
        if (
            not (folder / journal.NAME).exists()
            and read_treatment_file(folder).header.gas_factors is not UNSET
        ):
            yield folder / TREATMENT, "was converted to counts after it was made"
        return
    numbers = [int(path.stem.removeprefix("spill-")) for path in _spill_files(folder)]
    last = max(numbers, default=0)
    if last > state.spills:
        yield spill_path(folder, last), "is the file of a later one"
    path = folder / FIELD_HEADER
    if path.exists():
        header = read_field_file(path)
        with as_written(path):
            if header.journal_entries is None:
                raise KeyError("journal_entries")
        if header.journal_entries > state.entries:
            yield path, f"was made of {header.journal_entries} entries"
        yield from _later(path, header.status, header.spills, state)


def _spill_files(folder: Path) -> list[Path]:
    found = (folder / "spills").glob("spill-*.h5")
    return [path for path in found if path.stem.removeprefix("spill-").isdecimal()]


def _in_the_summary(folder: Path, name: str, state: FieldState) -> Iterator[tuple[Path, str]]:
    path = folder / SUMMARY
    if not path.exists():
        return
    for field in read_summary(folder).fields:
        if field.folder == name:
            yield from _later(path, field.status, field.spills, state)


def _later(path: Path, status: str, spills: int, state: FieldState) -> Iterator[tuple[Path, str]]:
    if spills > state.spills:
        yield path, f"tells of {spills} spills of the field"
    if status == "complete" and state.status != "complete":
        yield path, "tells that the field is complete"


def _in_the_status(path: Path, index: int, state: FieldState) -> Iterator[tuple[Path, str]]:
    """What was last shown; for displays, so it need not be there, nor be whole after a loss of power."""
    shown = read_status(path)
    if shown is None or shown.field != index + 1:
        return
    # The spill is counted from the request on, and noted before the first count of it can come.
    spills = shown.spill - (shown.int1_counts == 0 == shown.int2_counts)
    if spills > state.spills:
        yield path, f"has shown counts of {spills} spills of the field"


def _in_later_fields(
    folders: Sequence[Path], states: Sequence[FieldState], state: FieldState
) -> Iterator[tuple[Path, str]]:
    """A field begins when those before it are complete."""
    for folder, later in zip(folders, states, strict=True):
        if state.status != "complete" and later.begun is not None:
            yield folder / journal.NAME, "tells of a field that begins when this one is complete"
