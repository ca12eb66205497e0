"""Folders that appear when all is in them, and what killed processes leave of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spotline import whole_folder as module
from spotline.whole_folder import remove_left, whole_folder

FILL = """
import sys, time
from pathlib import Path
from spotline.whole_folder import whole_folder

with whole_folder(Path(sys.argv[1])) as part:
    (part / "file").write_text("half")
    print("filling", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("was_there", [True, False])
def test_it_appears_whole(was_there: bool, tmp_path: Path):
    out = tmp_path / "sub" / "out"
    if was_there:
        out.mkdir(parents=True)
    with whole_folder(out) as part:
        (part / "file").write_text("whole")
        assert not any(out.glob("*"))
        assert remove_left(out) == [], "the process that fills it is there"
    assert names(tmp_path / "sub") == ["out"]
    assert names(out) == ["file"]


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_nothing_is_left_if_it_fails(kind: type[BaseException], tmp_path: Path):
    def fill() -> None:
        with whole_folder(tmp_path / "out") as part:
            (part / "file").write_text("half")
            raise kind

    with pytest.raises(kind):
        fill()
    assert names(tmp_path) == []


def test_it_takes_no_place_that_is_taken(tmp_path: Path):
    def fill() -> None:
        with whole_folder(tmp_path / "out"):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "file").touch()

    with pytest.raises(OSError, match="not empty"):
        fill()
    assert names(tmp_path) == ["out"]


def test_what_a_killed_process_leaves_is_removed_and_not_before(tmp_path: Path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", FILL, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "filling\n"
        (left,) = tmp_path.iterdir()
        assert remove_left(out) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert left.is_dir(), "nobody could remove it"
        assert remove_left(tmp_path / "another") == []
        assert remove_left(out) == [left]
        assert names(tmp_path) == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", [".out.1.part", ".out.123.partial"])
def test_what_is_left_is_known_by_its_name(name: str, tmp_path: Path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").touch()
    others = [".out.part", ".out.x.part", "out.1.part", ".outer.1.part", ".out.1.part.kept"]
    for other in others:
        (tmp_path / other).mkdir()
    (tmp_path / ".out.2.part").symlink_to(tmp_path / others[0])
    (tmp_path / ".out.3.part").touch()
    assert remove_left(tmp_path / "out") == [tmp_path / name]
    assert names(tmp_path) == sorted([*others, ".out.2.part", ".out.3.part"])
    assert remove_left(tmp_path / "nowhere" / "out") == []


def test_what_another_user_has_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".out.1.part").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert remove_left(tmp_path / "out") == []


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked", "while it is locked"])
def test_one_that_is_taken_for_left_before_it_has_its_lock_is_made_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another process comes in between, and removes it or is about to."""
    out, taken = tmp_path / "out", []
    real_open, real_lock = os.open, module.fcntl.flock

    def take() -> None:
        if not taken:
            (part,) = tmp_path.glob(".out.*")
            taken.append(part)
            if moment == "while it is locked":
                taken.append(real_open(part, os.O_RDONLY))
                real_lock(taken[1], module.fcntl.LOCK_EX)
            else:
                part.rmdir()

    def opened(path: Path, flags: int, *others: int, **more: int | None) -> int:
        if moment == "before it is opened" and flags & os.O_DIRECTORY:
            take()
        return real_open(path, flags, *others, **more)

    def locked(descriptor: int, how: int) -> None:
        if moment != "before it is opened":
            take()
        real_lock(descriptor, how)

    monkeypatch.setattr(module.os, "open", opened)
    monkeypatch.setattr(module.fcntl, "flock", locked)
    with whole_folder(out) as part:
        assert part != taken[0]
        (part / "file").touch()
    assert names(out) == ["file"]
    if len(taken) > 1:
        os.close(taken[1])
        assert remove_left(out) == taken[:1]
    assert names(tmp_path) == ["out"]
