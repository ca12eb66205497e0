"""What must be written of a field: its journal and its spill files, as one listener that must succeed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from spotline.delivery.events import DeliveryEvent
from spotline.delivery.logbook import Logbook
from spotline.delivery.spill_files import SpillFiles
from spotline.record import journal
from spotline.record.assembly import FieldContent
from spotline.record.journal import Journal
from spotline.record.recovered import take_entry
from spotline.storage import Disk
from spotline.treatment.headers import DeliveryHeader


@dataclass(frozen=True, slots=True)
class FieldFiles:
    """Where the files of a field are, and what is in them.

    Attributes
    ----------
    content : FieldContent
        What the files hold, kept up to date as they are written; their folder exists.
    disk : Disk
        Where they are written.
    raw : bool
        Whether spill files hold every frame: they are larger then.
    """

    content: FieldContent
    disk: Disk
    raw: bool = False

    @property
    def folder(self) -> Path:
        """Of the field."""
        return self.content.folder

    @property
    def header(self) -> DeliveryHeader:
        """Facts of the field that its files carry."""
        return self.content.header


class Recorder:
    """Writes journal and spill files of a field.

    Parameters
    ----------
    files : FieldFiles
        Where.
    resumed : str, optional
        When an operator had the field go on.

    Attributes
    ----------
    files : FieldFiles
    logbook : Logbook
    spill_files : SpillFiles
    """

    def __init__(self, files: FieldFiles, resumed: str | None = None) -> None:
        self.files = files
        path, state = files.folder / journal.NAME, files.content.state
        self._book = Journal(files.disk, path, lambda entry: take_entry(state, entry, path))
        self.logbook = Logbook(self._book, files.header, resumed, files.content.remarks)
        self.spill_files = SpillFiles(files.folder, files.header, files.disk, files.content.spills)

    @property
    def is_lost(self) -> bool:
        """Whether something could not be written."""
        return self.logbook.is_lost or self.spill_files.is_lost

    def take(self, event: DeliveryEvent) -> None:
        """Write an event down: first in the journal, which is made before anything follows from the event."""
        self.logbook.take(event)
        self.spill_files.take(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.spill_files.close()
        self._book.__exit__(kind, error, trace)
