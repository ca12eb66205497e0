"""A disk whose power goes at any moment: every entry that was confirmed is there, and nothing wrong."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spotline.record import journal
from spotline.record.journal import Journal, read_journal
from spotline.sim.disk import PowerLoss, SimulatedDisk
from tests.record.journals import ENTRIES, is_prefix, same, write


@pytest.mark.parametrize("seed", range(8))
def test_at_every_step(seed: int, tmp_path: Path):
    """The journal has what was confirmed, and perhaps the entry that was under way."""
    whole = SimulatedDisk(np.random.default_rng(0))
    write(tmp_path / "whole.bin", whole)
    assert whole.steps == 1 + 2 * len(ENTRIES)
    lost = set()
    for step in range(1, whole.steps + 1):
        path = tmp_path / f"{step}.bin"
        disk = SimulatedDisk(np.random.default_rng([seed, step]), lose_at=step)
        with pytest.raises(PowerLoss):
            write(path, disk)
        confirmed = (step - 2) // 2
        if not path.exists():
            assert step == 1
            continue
        content = read_journal(path)
        assert confirmed <= len(content.entries) <= confirmed + 1 or step <= 2
        assert is_prefix(content)
        lost.add(len(content.entries) - confirmed)
    assert {0, 1} <= lost, "an entry that was not confirmed may be there or not"


@pytest.mark.parametrize("seed", range(20))
def test_published_file_is_the_old_one_or_the_new_one(seed: int, tmp_path: Path):
    path = tmp_path / "file"
    found = set()
    for step in (1, 2, 3):
        path.write_bytes(b"old")
        disk = SimulatedDisk(np.random.default_rng([seed, step]), lose_at=step)
        with pytest.raises(PowerLoss):
            disk.publish(b"new" * 1000, path)
        found.add(path.read_bytes())
    assert found <= {b"old", b"new" * 1000}


def test_confirmed_file_stays(tmp_path: Path):
    disk = SimulatedDisk(np.random.default_rng(1))
    disk.publish(b"content", tmp_path / "file")
    disk.lose_power()
    assert (tmp_path / "file").read_bytes() == b"content"


class Power(RuleBasedStateMachine):
    """Write, reserve, trim, and lose power at any step; go on with what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "journal.bin"
        self.confirmed: list[tuple[str, dict[str, object], None]] = []
        self.number = 0
        self.start(0, None)

    def start(self, seed: int, lose_after: int | None) -> None:
        self.disk = SimulatedDisk(np.random.default_rng(seed), lose_after)
        self.book: Journal | None = None
        with suppress(PowerLoss):
            self.book = Journal(self.disk, self.path)

    @rule(seed=st.integers(0, 1000), lose_after=st.none() | st.integers(1, 12))
    def restart(self, seed: int, lose_after: int | None) -> None:
        """The process dies and comes back; the power goes so many steps later."""
        if self.book is not None:
            self.book.__exit__(None, None, None)
            if seed % 2:
                self.disk.lose_power()
        self.start(seed, lose_after)

    @rule(size=st.integers(0, 3000))
    def append(self, size: int) -> None:
        entry = (journal.READING, {"number": self.number, "text": "x" * size}, None)
        self.number += 1
        if self.book is None:
            return
        try:
            self.book.append(*entry)
        except PowerLoss:
            self.die()
            found = read_journal(self.path).entries
            if len(found) > len(self.confirmed):  # it was on the disk before the power went
                self.confirmed.append(entry)
        else:
            self.confirmed.append(entry)

    @rule(n_bytes=st.integers(1, 5000))
    def reserve(self, n_bytes: int) -> None:
        self.survive(lambda book: book.reserve(n_bytes))

    @rule()
    def trim(self) -> None:
        self.survive(lambda book: book.finish())

    def survive(self, action) -> None:
        if self.book is None:
            return
        try:
            action(self.book)
        except PowerLoss:
            self.die()

    def die(self) -> None:
        assert self.book is not None
        self.book.__exit__(None, None, None)
        self.book = None

    @invariant()
    def has_every_confirmed_entry(self) -> None:
        found = read_journal(self.path).entries if self.path.exists() else ()
        assert len(found) == len(self.confirmed)
        assert all(map(same, found, self.confirmed))

    def teardown(self) -> None:
        if self.book is not None:
            self.book.__exit__(None, None, None)
        shutil.rmtree(self.folder)


TestPower = Power.TestCase
TestPower.settings = settings(max_examples=100, stateful_step_count=30)
