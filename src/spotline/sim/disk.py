"""Disks that fail: one that fills up, and one that also loses power, and with it what was not confirmed.

Whatever a delivery writes goes to real files, and is remembered until it is confirmed (``sync``, or the
end of ``publish``).  When the power goes, of every write that was not confirmed some sectors reach the
disk and others do not, in any order, and a new name is there or not: more than a journalling file system
allows itself, and all that its documentation promises.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np

from spotline.storage import AppendFile, Disk, sync_folder

SECTOR = 512
"""Bytes that a disk writes as a whole."""


class PowerLoss(BaseException):
    """The power is gone, and the process with it: nothing may handle this."""


class FaultyDisk(Disk):
    """A disk that a simulated fault may fill.

    Attributes
    ----------
    is_full : bool
        From now on the disk takes nothing more, except where room was reserved.
    """

    is_full = False

    def fill(self) -> None:
        """Let it take nothing more."""
        self.is_full = True

    def lose_power(self) -> None:
        """Lose what was not confirmed: nothing, since everything reaches this disk at once."""

    def open_append(self, path: Path, end: int = 0) -> AppendFile:
        """Open a file to append to."""
        is_new = not path.exists()
        if is_new:
            self.check_room(path)
        file = FaultyAppendFile(self, path, end)
        if is_new:
            sync_folder(path.parent)
        return file

    def publish(self, content: bytes, path: Path, *, is_new: bool = False) -> None:
        """Write a file whole, or leave what was there."""
        self.check_room(path)
        super().publish(content, path, is_new=is_new)

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        if not path.exists():
            self.check_room(path)
        super().make_folder(path)

    def free_bytes(self, folder: Path) -> int:
        """Bytes that may still be written."""
        return 0 if self.is_full else super().free_bytes(folder)

    def check_room(self, path: Path) -> None:
        """Raise the error of a full disk."""
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


class FaultyAppendFile(AppendFile):
    """A file to append to on a disk that may be full: it takes what room was reserved for."""

    _disk: FaultyDisk

    def reserve(self, n_bytes: int) -> None:
        """Set room aside."""
        if self.end + n_bytes > self._reserved:
            self._disk.check_room(self.path)
        super().reserve(n_bytes)

    def append(self, content: bytes) -> None:
        """Write at the end."""
        if self.end + len(content) > self._reserved:
            self._disk.check_room(self.path)
        super().append(content)


class SimulatedDisk(FaultyDisk):
    """A disk that counts its steps, and has its power lost at one of them.

    Parameters
    ----------
    generator : numpy.random.Generator
        Decides what of the unconfirmed writes survives.
    lose_at : int, optional
        Number of the step, from 1, in which the power goes; by default it stays.

    Attributes
    ----------
    steps : int
        Steps done: every write, confirmation, reservation and renaming is one.
    """

    def __init__(self, generator: np.random.Generator, lose_at: int | None = None) -> None:
        super().__init__()
        self._generator = generator
        self._lose_at = lose_at
        self.steps = 0
        self._durable: dict[Path, bytes | None] = {}  # what is certain of the files under way; None: no file
        self._pending: dict[Path, list[tuple[int, bytes]]] = {}

    def open_append(self, path: Path, end: int = 0) -> AppendFile:
        """Open a file to append to."""
        self.step(path)
        file = SimulatedAppendFile(self, path, end)
        self._durable[path] = path.read_bytes()
        self._pending[path] = []
        return file

    def publish(self, content: bytes, path: Path, *, is_new: bool = False) -> None:
        """Write a file whole, or leave what was there."""
        self.check_room(path)
        if is_new and path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        part = path.with_name(path.name + ".part")
        before = path.read_bytes() if path.exists() else None
        self._durable[part], self._pending[part] = b"", [(0, content)]
        self.step(path)  # lost while it is written
        part.write_bytes(content)
        self._durable[part], self._pending[part] = content, []
        self.step(path)  # lost before the renaming
        part.replace(path)
        self._durable[path] = content if self._generator.random() < 0.5 else before
        self._pending[path] = []
        del self._durable[part], self._pending[part]
        self.step(path)  # lost before the renaming is certain
        del self._durable[path], self._pending[path]

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        self.step(path)
        super().make_folder(path)

    def step(self, path: Path) -> None:
        """Count a step; the power may be lost in it."""
        self.steps += 1
        if self.steps == self._lose_at:
            self.lose_power()
            raise PowerLoss(f"power lost at step {self.steps} ({path.name})")

    def remember(self, path: Path, offset: int, content: bytes) -> None:
        """Note a write that is not confirmed."""
        self._pending[path].append((offset, content))

    def confirm(self, path: Path, content: bytes) -> None:
        """Note that the file is as it stands."""
        self._durable[path], self._pending[path] = content, []

    def lose_power(self) -> None:
        """Leave of every file what is certain, and of the rest what chance has it."""
        for path, certain in self._durable.items():
            if certain is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(self._survivor(certain, self._pending[path]))

    def _survivor(self, certain: bytes, writes: list[tuple[int, bytes]]) -> bytes:
        """Apply some sectors of some writes, in any order."""
        size = max([len(certain), *(offset + len(content) for offset, content in writes)])
        image = np.zeros(size, np.uint8)
        image[: len(certain)] = np.frombuffer(certain, np.uint8)
        length = len(certain)
        pieces = []
        for offset, content in writes:
            first = offset // SECTOR * SECTOR
            for start in range(first, offset + len(content), SECTOR):
                low, high = max(start, offset), min(start + SECTOR, offset + len(content))
                pieces.append((low, content[low - offset : high - offset]))
        share = self._generator.choice([0.0, 0.5, 1.0])
        for index in self._generator.permutation(len(pieces)):
            low, content = pieces[index]
            if self._generator.random() < share:
                image[low : low + len(content)] = np.frombuffer(content, np.uint8)
                length = max(length, low + len(content))
        return image[:length].tobytes()


class SimulatedAppendFile(FaultyAppendFile):
    """A file to append to whose unconfirmed writes may be lost."""

    _disk: SimulatedDisk

    def reserve(self, n_bytes: int) -> None:
        """Set room aside."""
        self._disk.step(self.path)
        super().reserve(n_bytes)
        self._disk.confirm(self.path, self.path.read_bytes())

    def append(self, content: bytes) -> None:
        """Write at the end."""
        self._disk.remember(self.path, self.end, content)
        self._disk.step(self.path)
        super().append(content)

    def sync(self) -> None:
        """Make certain what was written."""
        self._disk.step(self.path)
        super().sync()
        self._disk.confirm(self.path, self.path.read_bytes())

    def trim(self) -> None:
        """Give back what was not used."""
        self._disk.step(self.path)
        super().trim()
        self._disk.confirm(self.path, self.path.read_bytes())
