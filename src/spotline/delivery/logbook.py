"""Who writes the journal of a field while it is delivered, and bears that it cannot be written any more."""

from __future__ import annotations

import math
from typing import Any

from spotline.record import journal
from spotline.record.journal import Journal
from spotline.record.model import Table


class Logbook:
    """Notes what happens in the journal, as long as the disk takes it.

    Parameters
    ----------
    book : Journal
        Of the field.
    is_begun : bool
        Whether it has the entry with which a field begins; what happens before waits for it.

    Attributes
    ----------
    is_lost : bool
        Whether the journal could not be written; then nothing is written to it any more.
    """

    def __init__(self, book: Journal, *, is_begun: bool) -> None:
        self._book = book
        self._is_begun = is_begun
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self.is_lost = False

    def begin(self, values: dict[str, Any]) -> None:
        """Note what is delivered, and what has happened before.

        Raises
        ------
        OSError
            If that is impossible: nothing must be delivered then.
        """
        self._book.append(journal.FIELD, values)
        self._is_begun = True
        waiting, self._waiting = self._waiting, []
        for kind, early in waiting:
            self._book.append(kind, early)

    def note(self, kind: str, values: dict[str, Any], table: Table | None = None) -> bool:
        """Note what happened; return whether it is on the disk.

        JSON has no numbers that are not finite: these become None.
        """
        values = _plain(values)
        if not self._is_begun:
            self._waiting.append((kind, values))
            return True
        if not self.is_lost:
            try:
                self._book.append(kind, values, table)
            except OSError:
                self.is_lost = True
        return not self.is_lost

    def reserve(self, n_bytes: int) -> None:
        """Set room aside on the disk.

        Raises
        ------
        OSError
            If there is none.
        """
        self._book.reserve(n_bytes)

    def finish(self) -> None:
        """Give back the room that was set aside and not needed."""
        if not self.is_lost:
            self._book.finish()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
