"""The cache of compiled kernels: what its key depends on, where it lies, how it is cleaned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from numba.core import config

from spotline import jit

CALLEE = """
from spotline.jit import kernel


@kernel
def scale(x):
    return 2.0 * x
"""

CALLER = """
from spotline.control.callee import scale
from spotline.jit import kernel


@kernel
def shift_and_scale(x):
    return scale(x + 1.0)
"""

CALL = """
from spotline.control.caller import shift_and_scale

value = shift_and_scale(1.0)
stats = getattr(shift_and_scale, "stats", None)
loaded = sum(stats.cache_hits.values()) if stats else 0
print(value, loaded, stats.cache_path if stats else "plain")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of this name with the real decorator and two kernels, one calling the other."""
    folder = tmp_path / "copy" / "spotline"
    (folder / "control").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "control" / "__init__.py").touch()
    for name in jit.KERNEL_FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(jit.PACKAGE / name, folder / name)
    (folder / "control" / "callee.py").write_text(CALLEE)
    (folder / "control" / "caller.py").write_text(CALLER)
    return folder


def run(package: Path, code: str = CALL, **environment: str) -> list[str]:
    """Run code in a fresh process that sees this copy of the package; its output by words."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    inherited["PYTHONPATH"] = str(package.parent)
    result = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return result.stdout.split()


def test_kernels_are_loaded_from_the_cache_and_an_edited_callee_is_noticed(package: Path, tmp_path: Path):
    cache = str(tmp_path / "cache")
    assert run(package, SPOTLINE_CACHE_DIR=cache)[:2] == ["4.0", "0"]
    assert run(package, SPOTLINE_CACHE_DIR=cache)[:2] == ["4.0", "1"]
    callee = package / "control" / "callee.py"
    callee.write_text(CALLEE.replace("2.0", "3.0"))
    assert run(package, SPOTLINE_CACHE_DIR=cache)[:2] == ["6.0", "0"]


def test_index_checks_have_a_cache_of_their_own(package: Path, tmp_path: Path):
    cache = str(tmp_path / "cache")
    _, _, plain = run(package, SPOTLINE_CACHE_DIR=cache)
    value, loaded, checked = run(package, SPOTLINE_CACHE_DIR=cache, NUMBA_BOUNDSCHECK="1")
    assert (value, loaded) == ("4.0", "0")
    assert Path(plain).parent != Path(checked).parent


def test_without_jit_a_kernel_is_the_plain_function(package: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    assert run(package, SPOTLINE_CACHE_DIR=str(cache), NUMBA_DISABLE_JIT="1") == ["4.0", "0", "plain"]
    assert not cache.exists()


def test_without_a_writable_folder_kernels_are_compiled_in_every_process(package: Path, tmp_path: Path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    for _ in range(2):
        # Not even the folder beside the source may be used: it knows nothing of our key.
        assert run(package, SPOTLINE_CACHE_DIR=str(in_the_way)) == ["4.0", "0", "None"]
    assert not list(package.rglob("*.nb?"))


def test_numba_finding_the_folder_unusable_does_not_move_the_cache(package: Path):
    # As if the disk had filled up between our look at the folder and Numba's.
    spoil = (
        f"from pathlib import Path\nfrom spotline import jit\njit.cache_folder = lambda: Path({__file__!r})\n"
    )
    assert run(package, spoil + CALL)[:3] == ["4.0", "0", "None"]
    assert not list(package.rglob("*.nb?"))


@jit.kernel
def reciprocal(x: float) -> float:
    return 1.0 / x


def test_functions_of_other_packages_are_compiled_but_not_cached():
    assert reciprocal(4.0) == 0.25
    stats = getattr(reciprocal, "stats", None)
    assert stats is None or stats.cache_path is None


@pytest.mark.skipif(config.DISABLE_JIT, reason="plain Python raises ZeroDivisionError")
def test_division_by_zero_gives_infinity():
    assert reciprocal(0.0) == float("inf")


def test_key_depends_on_content_and_names_and_not_on_the_place(package: Path, tmp_path: Path):
    def key(folder: Path) -> str:
        return jit.cache_key(jit.kernel_sources(folder), folder)

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(package, elsewhere)
    original = key(package)
    assert key(elsewhere) == original

    (elsewhere / "control" / "caller.py").rename(elsewhere / "control" / "renamed.py")
    assert key(elsewhere) != original

    (package / "cli.py").write_text("# holds no kernels")
    assert key(package) == original
    (package / "sim").mkdir()
    (package / "sim" / "chambers.py").touch()
    assert key(package) != original


def test_all_files_with_kernels_are_hashed():
    hashed = set(jit.kernel_sources())
    users = {file for file in jit.PACKAGE.rglob("*.py") if "@kernel" in file.read_text(encoding="utf-8")}
    assert users <= hashed


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "{}/xdg/spotline"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{}/.cache/spotline"),
        ("linux", {}, "{}/.cache/spotline"),
        ("darwin", {"XDG_CACHE_HOME": "{}/xdg"}, "{}/Library/Caches/spotline"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "{}/local/spotline/Cache"),
        ("win32", {}, "{}/AppData/Local/spotline/Cache"),
        ("win32", {"SPOTLINE_CACHE_DIR": "{}/chosen", "LOCALAPPDATA": "{}/local"}, "{}/chosen"),
    ],
)
def test_place_of_the_cache(
    platform: str,
    variables: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.setattr(jit.sys, "platform", platform)
    monkeypatch.setattr(jit.Path, "home", lambda: tmp_path)
    for name in ("SPOTLINE_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert jit.cache_root() == Path(expected.format(tmp_path))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[str, float], Path]:
    """Make a cache folder that was last used so many seconds before the second 1e9."""

    def make(name: str, idle_s: float) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / jit._USED).touch()
        os.utime(folder / jit._USED, (1e9 - idle_s, 1e9 - idle_s))
        return folder

    return make


def test_pruning_removes_what_was_not_used_for_long(
    tmp_path: Path, make_folder: Callable[[str, float], Path]
):
    in_use = make_folder("in-use", 10 * jit.KEEP_s)
    recent = make_folder("recent", jit.KEEP_s - 1)
    old = make_folder("old", jit.KEEP_s + 1)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    jit.prune(tmp_path, keep=in_use, now_s=1e9)
    assert in_use.exists()
    assert recent.exists()
    assert foreign.exists()
    assert not old.exists()


def test_pruning_bounds_the_number_of_folders_but_leaves_those_of_the_last_day(
    tmp_path: Path, make_folder: Callable[[str, float], Path]
):
    of_today = [make_folder(f"today-{i}", i) for i in range(jit.KEEP_NEWEST - 2)]
    older = [make_folder(f"older-{i}", jit.KEEP_SURPLUS_s + 1 + i) for i in range(4)]
    jit.prune(tmp_path, keep=tmp_path / "in-use", now_s=1e9)
    assert all(folder.exists() for folder in of_today)
    assert [folder.exists() for folder in older] == [True, True, False, False]


@pytest.mark.parametrize("mode", [0o702, 0o720, 0o777])
@pytest.mark.parametrize("place", [".", "kernels", "kernels/key"])
def test_a_folder_that_others_may_write_is_found(place: str, mode: int, tmp_path: Path):
    folder = tmp_path / "cache" / "kernels" / "key"
    folder.mkdir(parents=True)
    assert jit.not_of_this_user(folder, tmp_path / "cache") is None
    (tmp_path / "cache" / place).chmod(mode)
    assert jit.not_of_this_user(folder, tmp_path / "cache") == tmp_path / "cache" / place


@pytest.mark.parametrize("name", ["kernel.nbi", "sub/kernel.nbc"])
def test_a_file_that_others_may_write_is_found_if_they_get_there(name: str, tmp_path: Path):
    folder = tmp_path / "cache"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).touch()
    (folder / name).chmod(0o666)
    assert jit.not_of_this_user(folder, folder) == folder / name
    folder.chmod(0o700)
    assert jit.not_of_this_user(folder, folder) is None


def test_a_folder_of_another_user_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert jit.not_of_this_user(tmp_path, tmp_path) is None
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert jit.not_of_this_user(tmp_path, tmp_path) == tmp_path


def test_a_cache_that_others_may_write_is_not_used_and_that_is_said(package: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment = inherited | {"PYTHONPATH": str(package.parent), "SPOTLINE_CACHE_DIR": str(cache)}
    run(package, SPOTLINE_CACHE_DIR=str(cache))
    assert run(package, SPOTLINE_CACHE_DIR=str(cache))[1] == "1", "loaded"
    cache.chmod(0o777)
    result = subprocess.run(
        [sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.split()[:2] == ["4.0", "0"]
    assert f"{cache}: belongs to somebody else or may be written by others" in result.stderr


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o000])
def test_a_cache_that_is_made_is_used_whatever_the_umask(umask: int, package: Path, tmp_path: Path):
    cache = str(tmp_path / "cache")
    code = f"import os\nos.umask({umask})\n{CALL}"
    for loaded in ("0", "1"):
        assert run(package, code, SPOTLINE_CACHE_DIR=cache)[1] == loaded
