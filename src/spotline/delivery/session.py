"""A session of a delivery: from wherever the record is to its end, or to the next interlock.

`deliver` and `resume` make one each.  What was delivered before is read from the record, and nowhere else
kept: a delivery that goes on does what one that was never interrupted does.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spotline.control.memory import LawSettings, SliceMemory
from spotline.delivery.field import Earlier, FieldDelivery
from spotline.delivery.loading import law_settings, slice_memory
from spotline.delivery.outcome import Outcome
from spotline.delivery.progress import Orders, Progress, Report
from spotline.delivery.status import StatusFile
from spotline.errors import OutputError
from spotline.files import read_json, write_json
from spotline.record import journal
from spotline.record.folder import DICOM_RECORD, FIELD_HEADER, SUMMARY
from spotline.record.journal import Journal
from spotline.record.log import write_log
from spotline.record.model import FieldRecord, Record
from spotline.record.read import open_field, open_record, read_account
from spotline.record.recovered import FieldState, field_header, read_state, recover_spill
from spotline.record.spill_file import Spill, SpillWriter, spill_path
from spotline.record.summary import summarize
from spotline.room import Room, SpillResult
from spotline.storage import Disk, sha256_of
from spotline.treatment.treatment import FieldTreatment, Treatment
from spotline.treatment.treatment_file import read_treatment_file


@dataclass(slots=True)
class Session:
    """Deliver what is left of a treatment.

    Attributes
    ----------
    folder : Path
        Of the record.
    treatment : Treatment
        All fields; those that were begun with the slices of their treatment files.
    delivery : dict
        Content of ``delivery.json``.
    disk : Disk
        Where to write.
    make_room : callable
        Given a field and the number of spills that it has used, makes the room to deliver it in.
    progress : callable or None
        Told how far the delivery is.
    orders : callable or None
        Asked for orders.
    block_us : int
        Samples per call of the fast loop at most.
    documents : bool
        Whether to write the DICOM record, and to publish the status.
    operator : dict or None
        Who has the delivery go on, and why: ``operator``, ``reason``, ``resumed``.
    after_spill : callable or None
        Given the folder after every spill.
    """

    folder: Path
    treatment: Treatment
    delivery: dict[str, Any]
    disk: Disk
    make_room: Callable[[FieldTreatment, int], Room]
    progress: Report | None
    orders: Orders | None
    block_us: int
    documents: bool
    operator: dict[str, Any] | None
    after_spill: Callable[[Path], object] | None = None

    def run(self, wall: float) -> Record:
        """Deliver, in a folder that is kept to this process.

        `wall` is the time at which the clock of the computer was started.
        """
        records: list[FieldRecord] = []
        try:
            for index, field in enumerate(self.treatment.fields):
                records.append(self._field(index, field, records))
                if records[-1].header["status"] != "complete":
                    break  # the next field waits until somebody has looked at the interlock
            summary = summarize(self.delivery, records, time.perf_counter() - wall)
            write_json(self.folder / SUMMARY, summary, self.disk)
        except OSError as error:
            return self._without_disk(error)
        return open_record(self.folder)

    def _without_disk(self, error: OSError) -> Record:
        """Return what is on the disk although it takes no more."""
        record = open_record(self.folder)
        if record.fields and record.summary["status"] != "complete":
            return record
        reason = " ".join((error.strerror or str(error)).split())
        what = "everything was delivered" if record.fields else "nothing was delivered"
        raise OutputError(
            f"{error.filename or self.folder}: cannot be written ({reason}); {what}; make room, and have "
            f"`spotline resume {self.folder}` write the rest"
        ) from error

    def _field(self, index: int, field: FieldTreatment, before: list[FieldRecord]) -> FieldRecord:
        """Deliver what is left of a field, and write what belongs to the whole of it."""
        folder = self.folder / self.delivery["fields"][index]["folder"]
        state, loop_wall_s = read_state(folder), 0.0
        if state.status != "complete":
            loop_wall_s = self._deliver(index, field, folder, state).loop_wall_s
        before_s = sum(_treatment_s(record) for record in before)  # fields follow without a pause
        began = datetime.fromisoformat(self.delivery["started"]) + timedelta(seconds=before_s)
        path = folder / FIELD_HEADER
        earlier_s = float(read_json(path).get("loop_wall_s", 0.0)) if path.exists() else 0.0
        header = {
            **field_header(read_state(folder)),
            "started": began.isoformat(timespec="microseconds"),
            "loop_wall_s": earlier_s + loop_wall_s,
        }
        write_json(path, header, self.disk)
        record = open_field(folder)
        write_log(record, folder, self.disk)
        if self.documents:
            _write_dicom(record, self.treatment, folder)
        return record

    def _deliver(self, index: int, field: FieldTreatment, folder: Path, state: FieldState) -> Outcome:
        """Deliver what is left of a field."""
        earlier = None
        if state.begun is not None:
            self._write_recovered(folder, field, state)
            account = read_account(folder) if state.begun["converted"] else None
            clock_us = max(
                [reading["time_us"] + 1 for reading in state.readings]
                + [int(row["end_us"]) for row in open_field(folder).spills],
                default=0,
            )
            earlier = Earlier(account, state.spills, clock_us, state.register())
        outcome = FieldDelivery(
            field,
            self.treatment.beamline,
            self.make_room(field, state.spills),
            folder,
            read_treatment_file(folder).header,
            self.progress or _ignore,
            (index + 1, len(self.treatment.fields)),
            disk=self.disk,
            block_us=self.block_us,
            raw=self.delivery["raw"],
            publish=StatusFile(self.folder).write if self.documents else None,
            orders=self.orders,
            earlier=earlier,
            session=self.operator,
            after_spill=self._spill_is_over,
        ).run()
        self.operator = None  # the fields that follow were not interrupted
        return outcome

    def _spill_is_over(self) -> None:
        if self.after_spill is not None:
            self.after_spill(self.folder)

    def _write_recovered(self, folder: Path, field: FieldTreatment, state: FieldState) -> None:
        """Note the file of the last spill; make it of the journal if there is none."""
        if not state.open_spill:
            return
        path = spill_path(folder, state.spills)
        spill = recover_spill(folder, state, field.slices)
        sha256 = ""
        if spill is not None:
            settings, memory = self._loaded(field, spill, state)
            with SpillWriter(path, settings, memory, spill.spots, self.disk) as writer:
                sha256 = writer.finish(spill.header, _result_of(spill), spill.slow_control, spill.assumed)
        with Journal(self.disk, folder / journal.NAME) as book:
            values = {"spill": state.spills, "sha256": sha256 or sha256_of(path), "recovered": bool(sha256)}
            book.append(journal.STORED, values)

    def _loaded(
        self, field: FieldTreatment, spill: Spill, state: FieldState
    ) -> tuple[LawSettings, SliceMemory]:
        """What the fast control was loaded with."""
        loaded = state.open_spill[0].table
        assert loaded is not None
        slice_ = field.slices[spill.header["slice"]]
        settings = law_settings(self.treatment.beamline.facts, field.beam, slice_)
        left1, left2 = (loaded[name].astype(np.int64) for name in ("int1_counts", "int2_counts"))
        return settings, slice_memory(slice_, spill.spots, left1, left2)


def _result_of(spill: Spill) -> SpillResult:
    """A spill as its file takes it."""
    return SpillResult(
        parts=spill.parts,
        commands=spill.commands,
        interlocks=spill.interlocks,
        end_reason=spill.header["end_reason"],
        start_us=spill.header["start_us"],
        end_us=spill.header["end_us"],
        int1_counts=spill.header["int1_counts"],
        int2_counts=spill.header["int2_counts"],
        truth=None,
    )


def _treatment_s(record: FieldRecord) -> float:
    return float(record.spills["end_us"].max()) * 1e-6 if len(record.spills) else 0.0


def _ignore(progress: Progress) -> None:
    """Report to nobody."""


def versions() -> dict[str, str]:
    """Versions of what took part in a delivery."""
    packages = ("spotline", "numpy", "numba", "h5py", "pydicom")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _write_dicom(record: FieldRecord, treatment: Treatment, folder: Path) -> None:
    from spotline.dicom.treatment_record import write_treatment_record

    path = folder / DICOM_RECORD
    path.unlink(missing_ok=True)  # that of the session before
    write_treatment_record(record, treatment.plan, path)
