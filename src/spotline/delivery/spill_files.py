"""Who writes the spill files of a field: a sink that must succeed."""

from __future__ import annotations

from pathlib import Path

from spotline.arrays import Integers
from spotline.delivery.events import DeliveryEvent, ReadingTaken, Samples, SpillBegun, SpillEnded
from spotline.delivery.headers import announced, header_of
from spotline.delivery.logbook import reading_row
from spotline.record.assembly import table_of
from spotline.record.headers import AnnouncedSpill, ReadingRow, SpillHeader
from spotline.record.model import SLOW_CONTROL
from spotline.record.spill_file import NO_READINGS, Spill, SpillWriter, spill_path
from spotline.room import SpillResult
from spotline.storage import Disk
from spotline.treatment.headers import DeliveryHeader


class SpillFiles:
    """Collects each spill, and publishes its file when the spill is over.

    Parameters
    ----------
    folder : Path
        Of the field.
    field : DeliveryHeader
    disk : Disk
        Where to write.
    kept : list of Spill
        Gets what is in every file, so that nobody has to read it.

    Attributes
    ----------
    sha256 : str
        Of the last file.
    is_lost : bool
        Whether a file could not be written.  Nothing is lost with it: the journal has the spill, and the file
        is made from it when the delivery is resumed.
    """

    def __init__(self, folder: Path, field: DeliveryHeader, disk: Disk, kept: list[Spill]) -> None:
        self._folder, self._field, self._disk = folder, field, disk
        self._kept = kept
        self._spots: Integers | None = None
        self._header: AnnouncedSpill | None = None
        self._readings: list[ReadingRow] = []
        self._writer: SpillWriter | None = None
        self.sha256 = ""
        self.is_lost = False

    def take(self, event: DeliveryEvent) -> None:
        """Take what belongs into the file of the spill."""
        if isinstance(event, SpillBegun):
            self._header, self._spots, self._readings = announced(event, self._field), event.spots, []
            path = spill_path(self._folder, event.spill)
            self._writer = SpillWriter(path, event.settings, event.memory, event.spots, self._disk)
        elif self._writer is None:
            return
        elif isinstance(event, Samples):
            self._writer.add(event.trend, event.raw)
        elif isinstance(event, ReadingTaken):
            self._readings.append(reading_row(event))
        elif isinstance(event, SpillEnded):
            assert self._header is not None
            self._publish(self._writer, header_of(self._header, event), event.result)
            self.close()

    def _publish(self, writer: SpillWriter, header: SpillHeader, result: SpillResult) -> None:
        slow_control = table_of(self._readings, SLOW_CONTROL)
        try:
            self.sha256 = writer.finish(header, result, slow_control)
        except OSError:
            self.is_lost = True
            return
        assert self._spots is not None
        # Copies: what the room hands over are its own memories, which the next spill fills.
        self._kept.append(
            Spill(
                header=header,
                spots=self._spots.copy(),
                parts=result.parts.copy(),
                trend=writer.trend,
                commands=result.commands.copy(),
                interlocks=result.interlocks.copy(),
                slow_control=slow_control,
                truth=None if result.truth is None else result.truth.copy(),
                readings=NO_READINGS.copy() if result.readings is None else result.readings.copy(),
            )
        )

    def close(self) -> None:
        """Drop the spill that is under way, if one is."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
