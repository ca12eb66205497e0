"""The journal: what was confirmed is there, and nothing is there that was not written."""

from __future__ import annotations

import errno
import random
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spotline import RecordError
from spotline.record import journal
from spotline.record.journal import RESERVE_BYTES, Journal, read_journal, spill_bytes
from spotline.sim.disk import FaultyDisk
from spotline.storage import Disk
from tests.record.journals import ENTRIES, is_prefix, loaded, parts, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.bin"


def test_round_trip(path: Path):
    write(path)
    content = read_journal(path)
    assert len(content.entries) == len(ENTRIES)
    assert is_prefix(content)
    assert (content.end, content.is_torn) == (path.stat().st_size, False)
    assert {kind for kind, _, _ in ENTRIES} == set(journal.KINDS), "every kind is tried"


def test_kinds_have_the_numbers_of_old_journals():
    """One that changed would make an old journal say something else; what is new gets a number of its own."""
    assert {kind: number for kind, (number, _) in journal.KINDS.items()} == {
        "field": 1,
        "spill": 2,
        "progress": 3,
        "over": 4,
        "stored": 5,
        "reading": 6,
        "interlock": 7,
        "resume": 8,
        "closed": 9,
        "event": 10,
        "given up": 11,
        "order": 12,
    }


def test_empty(path: Path):
    Journal(Disk(), path).__exit__(None, None, None)
    assert read_journal(path).entries == ()
    with pytest.raises(RecordError, match="cannot be read"):
        read_journal(path.with_name("other.bin"))


def test_goes_on(path: Path):
    for kind, values, table in ENTRIES:
        with Journal(Disk(), path) as book:
            book.reserve(1000)
            book.append(kind, values, table)
    content = read_journal(path)
    assert len(content.entries) == len(ENTRIES)
    assert is_prefix(content)


def test_reserved_room_is_no_entry(path: Path):
    with Journal(Disk(), path) as book:
        book.append(*ENTRIES[0])
        size = path.stat().st_size
        book.reserve(1000)
        assert path.stat().st_size == size + 1000 + RESERVE_BYTES
        assert not read_journal(path).is_torn
        book.append(*ENTRIES[1])
        assert len(read_journal(path).entries) == 2
        book.finish()
    assert path.stat().st_size == read_journal(path).end


def test_reserved_room_can_be_written_when_the_disk_is_full(path: Path):
    disk = FaultyDisk()
    with Journal(disk, path) as book:
        book.append(*ENTRIES[0])
        book.reserve(10_000)
        disk.fill()
        for entry in ENTRIES[1:]:
            book.append(*entry)
        with pytest.raises(OSError, match="No space") as caught:
            book.reserve(10**6)
        assert caught.value.errno == errno.ENOSPC
        with pytest.raises(OSError, match="No space"):
            book.append(journal.SPILL, {}, loaded(*range(1, 10_000)))
    content = read_journal(path)
    assert len(content.entries) == len(ENTRIES)
    assert is_prefix(content)


def test_a_spill_takes_no_more_than_is_reserved(path: Path):
    """Each of ten spots open at four confirmations, complete at the last."""
    disk = Disk()
    with Journal(disk, path) as book:
        book.append(*ENTRIES[0])
        before = read_journal(path).end
        long = 2**62
        book.append(
            journal.SPILL, {"spill": long, "slice": long, "header": "x" * 4000}, loaded(*range(1, 11))
        )
        n = 0
        for spot in range(10):
            for _ in range(4):
                rows = parts((spot, 5, 0))
                book.append(journal.PROGRESS, {"spill": long, "row": long, "time_us": long}, rows)
                n += 1
        done = [(spot, 5, 1) for spot in range(10)]
        book.append(journal.OVER, {"spill": long, "row": 0, "header": "x" * 4000}, parts(*done))
        book.append(journal.STORED, {"spill": long, "sha256": "a" * 64}, None)
    assert read_journal(path).end - before <= spill_bytes(10, n)


def test_what_is_reserved_is_what_the_worst_spill_takes(path: Path):
    """To the byte: all JSON as long as it may be, and a row of the open spot with every confirmation."""

    def padded(length: int) -> dict[str, str]:
        return {"": "x" * (length - len('{"": ""}'))}

    n_spots, n_each = 10, 4
    with Journal(Disk(), path) as book:
        book.append(journal.SPILL, padded(8192), loaded(*range(1, n_spots + 1)))
        for spot in range(n_spots):
            for _ in range(n_each - 1):
                book.append(journal.PROGRESS, padded(128), parts((spot, 5, 0)))
            # The spot is complete, and the next one is open already.
            book.append(journal.PROGRESS, padded(128), parts((spot, 5, 1), (spot + 1, 0, 0)))
        book.append(journal.OVER, padded(8192), parts(*((spot, 5, 1) for spot in range(n_spots))))
        book.append(journal.STORED, padded(8192), None)
        book.append(journal.READING, padded(8192), None)
    assert path.stat().st_size == spill_bytes(n_spots, n_spots * n_each)


def test_truncated_at_every_byte(path: Path):
    """What is left of the entries that are whole; the journal goes on from there."""
    ends = write(path)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        found = read_journal(path)
        assert len(found.entries) == sum(end <= length for end in ends)
        assert is_prefix(found)
        assert found.is_torn == (length not in (0, *ends))
    with Journal(Disk(), path) as book:
        book.append(*ENTRIES[-1])
    found = read_journal(path)
    assert len(found.entries) == len(ENTRIES)
    assert is_prefix(found)


def test_every_bit_before_the_last_entry(path: Path):
    """An altered byte is noticed, wherever it is, if an entry follows."""
    ends = write(path)
    content = path.read_bytes()
    for place in range(ends[-2]):
        altered = bytearray(content)
        altered[place] ^= 1 << (place % 8)
        path.write_bytes(altered)
        with pytest.raises(RecordError, match=r"altered|follows") as caught:
            read_journal(path)
        assert "restore the journal from a copy" in str(caught.value)


@pytest.mark.parametrize("number", range(len(ENTRIES) - 1))
def test_missing_repeated_or_swapped_entry(number: int, path: Path):
    ends = [0, *write(path)]
    content = path.read_bytes()
    pieces = [content[a:b] for a, b in pairwise(ends)]
    missing = pieces[:number] + pieces[number + 1 :]
    repeated = [*pieces[: number + 1], *pieces[number:]]
    swapped = pieces.copy()
    swapped[number : number + 2] = swapped[number + 1], swapped[number]
    for order, damaged in ((missing, number), (repeated, number + 1), (swapped, number)):
        path.write_bytes(b"".join(order))
        with pytest.raises(RecordError, match=f"entry {damaged} is not the one that follows"):
            read_journal(path)


def test_entry_of_another_journal(path: Path, tmp_path: Path):
    """Whole in itself, and the right number: only the CRC of the entry before tells."""
    ends = write(path)
    other = tmp_path / "other.bin"
    with Journal(Disk(), other) as book:
        book.append(journal.FIELD, {"field": 1, "seed": 8}, None)
        book.append(*ENTRIES[1])
    first = ends[0]
    path.write_bytes(path.read_bytes()[:first] + other.read_bytes()[first:])
    with pytest.raises(RecordError, match="entry 1 is not the one that follows"):
        read_journal(path)


def test_other_version(path: Path):
    path.write_bytes(journal.encode(journal.FIELD, 0, 0, {}, None))
    assert len(read_journal(path).entries) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "FORMAT", 9)
        path.write_bytes(journal.encode(journal.FIELD, 0, 0, {}, None))
    with pytest.raises(RecordError, match="version 9 of the format"):
        read_journal(path)


@pytest.mark.parametrize(("said", "n_more"), [(b"[1]", 0), (b"{}", 1), (b"7", 1)])
def test_a_whole_entry_that_holds_no_table_of_keys(said: bytes, n_more: int, path: Path):
    """Its bytes are whole, and not ours: JSON of another kind, or said to be longer than it is."""
    good = journal.encode(journal.FIELD, 0, 0, {}, None)
    head = bytearray(good[: -len(b"{}") - 4 - 4])
    head[8:12] = (4 + len(said)).to_bytes(4, "little")
    content = bytes(head) + (len(said) + n_more).to_bytes(4, "little") + said
    path.write_bytes(content + zlib.crc32(content).to_bytes(4, "little"))
    with pytest.raises(RecordError, match=r"entry 0 cannot be understood \(no table of keys\)"):
        read_journal(path)


def mutate(content: bytes, chance: random.Random, ends: list[int]) -> bytes:
    """Damage in one or a few ways: bits, stretches, cuts, blocks of the disk or entries in other places."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        data = bytearray(content)
        a, b = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        kind = chance.randrange(8)
        if kind == 0 and data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[a:b] = chance.randbytes(b - a)
        elif kind == 2:
            del data[a:]
        elif kind == 3:
            del data[a:b]
        elif kind == 4:
            data[a:a] = data[a:b]
        elif kind == 5:
            data[a:b] = bytes(b - a)
        elif kind == 6:
            blocks = [data[i : i + 512] for i in range(0, len(data), 512)]
            chance.shuffle(blocks)
            data = bytearray(b"".join(blocks))
        else:
            places = [0, *ends]
            first, second = chance.choice(places), chance.choice(places)
            data[first:first] = data[min(first, second) : max(first, second)]
        content = bytes(data)
        if not content:
            break
    return content


def test_ten_thousand_mutated_journals(path: Path):
    """A typed error, or the first of the entries: never one that was not written."""
    ends = write(path)
    original = path.read_bytes()
    chance = random.Random(20)
    refused = shorter = 0
    for _ in range(10_000):
        path.write_bytes(mutate(original, chance, ends))
        try:
            content = read_journal(path)
        except RecordError:
            refused += 1
        else:
            assert is_prefix(content)
            shorter += len(content.entries) < len(ENTRIES)
    assert refused > 2000
    assert shorter > 1000


def test_parts_with_nan_survive(path: Path):
    write(path)
    table = read_journal(path).entries[3].table
    assert table is not None
    assert np.isnan(table["x_strip_mm"]).all()


def test_an_altered_entry_is_noticed_however_short_it_and_the_one_behind_it_are(path: Path):
    """The entry behind may begin anywhere in what the altered one would have taken."""
    first = journal.encode(journal.EVENT, 0, 0, {}, None)
    crc = int.from_bytes(first[-4:], "little")
    second = journal.encode(journal.EVENT, 1, crc, {}, None)
    for place in range(len(first)):
        altered = bytearray(first)
        altered[place] ^= 0xFF
        for before in (b"", b"SpJ\x01"):  # also what only looks like the beginning of one
            path.write_bytes(bytes(altered) + before + second)
            with pytest.raises(RecordError, match="altered"):
                read_journal(path)


def test_what_comes_beside_a_spill_is_noted_although_the_disk_is_full(path: Path):
    """A minute of readings, interlocks of every kind, orders, and the end of the field."""
    disk = FaultyDisk()
    with Journal(disk, path) as book:
        book.append(*ENTRIES[0])
        book.reserve(spill_bytes(1, 1))
        disk.fill()
        book.append(journal.SPILL, {"header": "x" * 8000}, loaded(100))
        book.append(journal.PROGRESS, {"spill": 1, "row": 0, "time_us": 2**60}, parts((0, 100, 1)))
        book.append(journal.OVER, {"header": "x" * 8000}, parts((0, 100, 1)))
        book.append(journal.STORED, {"header": "x" * 8000}, None)
        for second in range(60):
            book.append(journal.READING, {f"quantity_{k}": second + 1.0 / 3.0 for k in range(10)}, None)
        for cause in range(60):
            said = {"cause": cause, "value": 1.0 / 3.0, "limit": 2.0 / 3.0, "time_us": 2**50, "spill": 1}
            book.append(journal.INTERLOCK, said, None)
        book.append(journal.ORDER, {"command": "stop", "identity": "i" * 200, "reason": "r" * 2000}, None)
        book.append(journal.CLOSED, {"status": "interlock", "latched": list(range(60))}, None)
    assert len(read_journal(path).entries) == 1 + 4 + 60 + 60 + 2


def test_room_is_set_aside_for_a_spill_of_many_spots(path: Path):
    """All spots complete at once: each is written with the confirmation, and again when the spill is over."""
    n = 2000
    done = parts(*((spot, 5, 1) for spot in range(n)))
    disk = FaultyDisk()
    with Journal(disk, path) as book:
        book.append(*ENTRIES[0])
        book.reserve(spill_bytes(n, 1))
        disk.fill()
        book.append(journal.SPILL, {"spill": 1}, loaded(*range(1, n + 1)))
        book.append(journal.PROGRESS, {"spill": 1, "row": 0, "time_us": 2**60}, done)
        book.append(journal.OVER, {"spill": 1, "row": 0}, done)
    assert [entry.kind for entry in read_journal(path).entries[1:]] == ["spill", "progress", "over"]


def test_an_entry_of_a_slice_of_very_many_spots_is_read_again(path: Path):
    """An entry that could be written and not be read would count as never confirmed."""
    done = parts(*((spot, 5, 1) for spot in range(20_000)))
    with Journal(Disk(), path) as book:
        book.append(*ENTRIES[0])
        book.append(journal.OVER, {"spill": 1, "row": 0}, done)
        book.append(journal.STORED, {"spill": 1, "sha256": "a" * 64}, None)
    content = read_journal(path)
    assert [entry.kind for entry in content.entries] == ["field", "over", "stored"]
    assert content.entries[1].table is not None
    assert content.entries[1].table.tobytes() == done.tobytes()
