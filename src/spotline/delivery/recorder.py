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
from spotline.record.journal import Journal
from spotline.storage import Disk
from spotline.treatment.headers import DeliveryHeader


@dataclass(frozen=True, slots=True)
class FieldFiles:
    """Where the files of a field are, and what they say of it.

    Attributes
    ----------
    folder : Path
        Of the field; exists.
    header : DeliveryHeader
        Facts of the field that its files carry.
    disk : Disk
        Where they are written.
    raw : bool
        Whether spill files hold every frame: they are larger then.
    """

    folder: Path
    header: DeliveryHeader
    disk: Disk
    raw: bool = False


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
        self._book = Journal(files.disk, files.folder / journal.NAME)
        self.logbook = Logbook(self._book, files.header, resumed)
        self.spill_files = SpillFiles(files.folder, files.header, files.disk)

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
