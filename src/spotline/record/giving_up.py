"""Give up the rest of a delivery, for good: a continuation plan delivers it, and nothing else may.

An entry in the journal of every field that was begun is the latch.  It is on the disk before the plan
appears, so that the rest is never left to both the plan and `spotline.resume`; it names the plan, so that
the same one can be made again if the process dies in between.  A copy of the plan in the record is a second
witness of the latch, should a journal be replaced with an older copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from spotline.errors import OutputError, RecordError
from spotline.hdf5 import keys_of
from spotline.record import journal
from spotline.record.delivery_file import read_delivery
from spotline.record.entries import GivenUpEntry
from spotline.record.folder import CONTINUATION, LOCK
from spotline.record.journal import Journal
from spotline.record.recovered import FieldState
from spotline.record.witnesses import check_spill_files, given_up_for, read_states
from spotline.storage import Disk, only_one


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What is left of a record, for as long as nobody else can deliver it.

    Attributes
    ----------
    folder : Path
        Of the record.
    fields : tuple of tuple
        Folder and state of every field, in the order of delivery.
    """

    folder: Path
    fields: tuple[tuple[Path, FieldState], ...]

    @property
    def given_up(self) -> str | None:
        """SOP Instance UID of the plan that it was given up for, if it was."""
        return given_up_for([state for _, state in self.fields])

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left, so that there is nothing to give up."""
        return all(state.status == "complete" for _, state in self.fields)

    def check_writable(self) -> None:
        """Try whether the record can be written to, without changing anything.

        Raises
        ------
        OutputError
            If it cannot: then its rest cannot be given up.
        """
        try:
            TemporaryFile(dir=self.folder).close()
            for folder, state in self.fields:
                if state.begun is not None:
                    (folder / journal.NAME).open("r+b").close()
        except OSError as error:
            raise _not_writable(self.folder, error) from error

    def give_up(self, uid: str, plan: bytes, disk: Disk) -> None:
        """Have it delivered by a plan, and by nothing else from now on.

        What is noted already is not noted again.

        Parameters
        ----------
        uid : str
            SOP Instance UID of the plan.
        plan : bytes
            Its file.
        disk : Disk
            Where to write.

        Raises
        ------
        OutputError
            If the record cannot be written to.
        """
        try:
            for folder, state in self.fields:
                if state.begun is not None and state.given_up is None:
                    with Journal(disk, folder / journal.NAME) as book:
                        book.append(journal.GIVEN_UP, keys_of(GivenUpEntry(plan_uid=uid)))
            if not (self.folder / CONTINUATION).exists():
                disk.publish(plan, self.folder / CONTINUATION, is_new=True)
        except OSError as error:
            raise _not_writable(self.folder, error) from error


def _not_writable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{error.filename or folder}: cannot be written ({error.strerror or error}), so the rest of this "
        "record cannot be given up, and `spotline resume` could deliver it too; make the record writable"
    )


def rest_of(folder: Path) -> Rest:
    """Read the journals of a record, and hold them against its other files.

    Raises
    ------
    RecordError
        If one of them is broken, or knows less than another file.
    """
    delivery = read_delivery(folder)
    states = read_states(folder, delivery)
    folders = [folder / field.folder for field in delivery.fields]
    for field, state in zip(folders, states, strict=True):
        check_spill_files(field, state)
    return Rest(folder, tuple(zip(folders, states, strict=True)))


@contextmanager
def kept_from_others(folders: Sequence[Path]) -> Iterator[None]:
    """Keep the records to this process.

    Raises
    ------
    RecordError
        If another process is at one of them, or nothing was begun there.
    """
    with ExitStack() as stack:
        for folder in sorted({folder.resolve() for folder in folders}):
            read_delivery(folder)
            stack.enter_context(only_one(folder / LOCK))
        yield


def check_given_up(rests: Sequence[Rest], uid: str) -> None:
    """Refuse to leave to a plan what was left to another.

    Raises
    ------
    RecordError
        If a record was given up for another plan.
    """
    for rest in rests:
        if rest.given_up not in (None, uid):
            copy = rest.folder / CONTINUATION
            where = f"; {copy} is a copy of it" if copy.exists() else ""
            raise RecordError(
                f"{rest.folder}: its rest was given up for the continuation plan with SOP Instance UID "
                f"{rest.given_up}, and what is asked for is another one; give the records that made that "
                f"plan{where}"
            )
