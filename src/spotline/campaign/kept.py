"""Rows of a campaign as they come: in a file until the table is written, so that none is lost."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from spotline.campaign.headers import Provenance
from spotline.campaign.row import Row, rows_in
from spotline.errors import OutputError
from spotline.files import claim_folder, read_json
from spotline.hdf5 import keys_of

TABLE, SUMMARY, ROWS = "runs.parquet", "campaign.json", "runs.jsonl"

_GO_ON = "choose another folder"


class KeptRows:
    """The rows of a campaign that are made already, and the file to which more are added.

    The file is there from the first row on: a campaign without one leaves an empty folder, which is free.

    Parameters
    ----------
    folder : Path
        Of the campaign; claimed.
    provenance : Provenance
        Everything that the runs depend on.
    resume : bool
        Whether to go on with what is in the folder.

    Attributes
    ----------
    rows : list of Row
        Those that were there.

    Raises
    ------
    OutputError
        If the folder is not free, or what it holds is of another campaign.
    """

    def __init__(self, folder: Path, provenance: Provenance, *, resume: bool) -> None:
        self._path = folder / ROWS
        self._head = keys_of(provenance)
        self._file: BinaryIO | None = None
        self.rows: list[Row] = []
        if resume and self._path.exists():
            self._read()
        elif resume and (folder / TABLE).exists() and (folder / SUMMARY).exists():
            self._check(read_json(folder / SUMMARY))
            self.rows = _rows_of(folder / TABLE)
        elif self._path.exists():
            raise OutputError(
                f"{folder}: holds a campaign that was interrupted; go on with it (--resume) or {_GO_ON}"
            )
        else:
            claim_folder(folder, "the campaign")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: Row) -> None:
        """Keep a row.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            if self._file is None:
                self._file = self._locked("xb")
                self._write([self._head, *map(keys_of, self.rows)])
            self._write([keys_of(row)])
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror}); make room and go on with --resume"
            ) from None

    def done(self) -> None:
        """Remove the file: table and summary hold everything now."""
        self._path.unlink(missing_ok=True)

    def _write(self, lines: list[Any]) -> None:
        assert self._file is not None
        self._file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        self._file.flush()

    def _read(self) -> None:
        self._file = self._locked("r+b")
        content = self._file.read()
        whole = content.rfind(b"\n") + 1  # a line without its end was being written when all ended
        try:
            head, *rows = [json.loads(line) for line in content[:whole].splitlines()] or [self._head]
            self.rows = msgspec.convert(rows, list[Row])
        except ValueError:
            raise OutputError(f"{self._path}: altered; {_GO_ON} and begin anew") from None
        self._check(head)
        self._file.seek(whole)
        self._file.truncate()
        if not whole:
            self._write([self._head])

    def _locked(self, mode: str) -> BinaryIO:
        file: BinaryIO = self._path.open(mode)  # type: ignore[assignment]
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise OutputError(
                f"{self._path}: another process is at work on this campaign; wait until it has ended"
            ) from None
        return file

    def _check(self, found: dict[str, Any]) -> None:
        other = [key for key, value in self._head.items() if found.get(key) != value]
        if other:
            raise OutputError(
                f"{self._path.parent}: holds a campaign with other {', '.join(other)}; give what it was "
                f"begun with, or {_GO_ON}"
            )


def _rows_of(table: Path) -> list[Row]:
    try:
        return rows_in(pq.read_table(table))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OutputError(f"{table}: cannot be read ({error}); {_GO_ON} and begin anew") from None
