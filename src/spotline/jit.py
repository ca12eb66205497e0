"""The one Numba decorator of the project, with a cache that notices every edit.

Numba can keep compiled functions on disk, but decides by the file of the function alone whether they
are still good.  A kernel whose *callee* in another file was edited would be loaded in its old form,
without a word.  Here the folder of the cache is therefore named after a hash of all files that kernels
are made of: any edit leads to a new folder, and old folders are removed once they have not been used
for a while.

What is in the cache is run, so it is used only if it belongs to the user and nobody else may write it.

The cache lies under the user's cache folder, or under ``SPOTLINE_CACHE_DIR`` if that is set.  Where
nothing can be written, kernels are compiled afresh in every process.  Numba's own switches hold as
they are: with ``NUMBA_DISABLE_JIT=1`` a kernel is the plain Python function, and with
``NUMBA_BOUNDSCHECK=1`` it checks its indices (and has a cache of its own).
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numpy as np
import scipy
from numba.core import config

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = Path(__file__).resolve().parent
KERNEL_FOLDERS = ("control", "sim", "physics", "dose")
"""Subpackages that may hold kernels, or constants that kernels take over when they are compiled."""
KERNEL_FILES = ("jit.py", "units.py", "random.py", "moves.py", "treatment/tour.py")
"""Single files of the same kind."""

KEEP_s = 30 * 86_400
"""A folder not used for so long is removed."""
KEEP_NEWEST = 12
"""Of the folders not used for `KEEP_SURPLUS_s`, those beyond so many newer ones are removed too."""
KEEP_SURPLUS_s = 86_400

# Kernels get all their memory from the caller.  Without Numba's runtime they cannot allocate, which the
# compiler then checks, and no reference is counted when a tuple of arrays goes from one kernel to the
# next: in a loop with a kernel call every microsecond that counting took most of the time.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}

_USED = "used"  # its time of modification tells when a process last chose the folder
_decorating = threading.Lock()


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function when it is first called, and keep the machine code on disk.

    The function holds no lock while it runs (threads run kernels side by side), and a division by
    zero gives what NumPy gives instead of an exception.  Reassociation of floating-point arithmetic
    stays off, so that a result does not depend on how LLVM vectorizes a loop.

    Parameters
    ----------
    function : callable
        A function within the reach of Numba's nopython mode.

    Returns
    -------
    callable
        The compiled function, with the same signature; `function` itself with
        ``NUMBA_DISABLE_JIT=1``.

    Notes
    -----
    Only functions of this package are cached: the key of the cache does not cover the sources of
    others.
    """
    folder = None if config.DISABLE_JIT or not _is_ours(function) else cache_folder()
    if folder is not None:
        # Numba asks for the folder once, while it decorates; other users of Numba in this process
        # must not find their caches in ours.
        with _decorating:
            before = config.CACHE_DIR
            config.CACHE_DIR = str(folder)
            try:
                cached = numba.njit(cache=True, **_OPTIONS)(function)
            finally:
                config.CACHE_DIR = before
        # If Numba could not use the folder after all, it took one that knows nothing of our key.
        if Path(cached.stats.cache_path).is_relative_to(folder):
            return cast("Callable[P, R]", cached)
    return cast("Callable[P, R]", numba.njit(**_OPTIONS)(function))


def kernel_sources(package: Path = PACKAGE) -> list[Path]:
    """List the files whose content decides what a kernel does.

    Parameters
    ----------
    package : Path
        Folder of the package.

    Returns
    -------
    list of Path
        In an order that does not depend on the file system.
    """
    files = [package / name for name in KERNEL_FILES]
    for folder in KERNEL_FOLDERS:
        files.extend((package / folder).rglob("*.py"))
    return sorted(file for file in files if file.is_file())


def cache_key(sources: Iterable[Path], package: Path = PACKAGE) -> str:
    """Hash everything that machine code depends on.

    Parameters
    ----------
    sources : iterable of Path
        Files of the kernels.
    package : Path
        Folder that their names are taken relative to, so that two copies of the same sources share
        their key.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    circumstances = (
        sys.implementation.cache_tag,
        platform.machine(),
        config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        config.CPU_FEATURES,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        scipy.__version__,  # tables made with it are constants of the machine code
        config.OPT,
        config.BOUNDSCHECK,
        config.DEBUGINFO_DEFAULT,
    )
    digest.update(repr(tuple(map(str, circumstances))).encode())
    for file in sources:
        content = file.read_bytes()
        # The length keeps two files from being taken for one of the same bytes in a row.
        digest.update(f"\n{file.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """Tell where caches are kept: ``SPOTLINE_CACHE_DIR``, or the platform's folder for caches.

    Returns
    -------
    Path
        The folder, which need not exist.

    Raises
    ------
    RuntimeError
        If the user has no home folder.
    """
    chosen = os.environ.get("SPOTLINE_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "spotline" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "spotline"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "spotline"


@functools.cache
def cache_folder() -> Path | None:
    """Prepare the folder for the machine code of the present sources.

    Returns
    -------
    Path or None
        None if nothing can be cached: no folder that can be written, or no sources to hash (as in a
        frozen application).
    """
    try:
        sources = kernel_sources()
        if not sources:
            return None
        folder = cache_root() / "kernels" / cache_key(sources)
        is_new = not folder.is_dir()
        for place in (folder.parent.parent, folder.parent, folder):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        stranger = not_of_this_user(folder, cache_root())
        if stranger is not None:
            warnings.warn(
                f"{stranger}: belongs to somebody else or may be written by others, and machine code from it "
                "would be run: it is not used, and kernels are compiled in every process; make it yours "
                "alone (chmod go-w), or choose another with SPOTLINE_CACHE_DIR",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        (folder / _USED).touch()
        # A folder of another user may let us touch the stamp and yet not take new files.
        tempfile.TemporaryFile(dir=folder).close()
        if is_new:
            prune(folder.parent, keep=folder)
    except (OSError, RuntimeError):
        return None
    return folder


def not_of_this_user(folder: Path, root: Path) -> Path | None:
    """Find what in a cache somebody else may have written; whoever loads it runs what is in it.

    Parameters
    ----------
    folder : Path
        With the machine code.
    root : Path
        Of the cache; folders from here on are looked at, and what is in `folder` if others get there.

    Returns
    -------
    Path or None
        The first folder or file that does not belong to this user, or that others may write.
    """
    if not hasattr(os, "getuid"):
        return None
    folders = [path for path in (*reversed(folder.parents), folder) if path.is_relative_to(root)]
    for path in folders:
        if _is_of_others(path):
            return path
    if any(not path.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for path in folders):
        return None  # nobody else gets to what is in there
    return next((path for path in folder.rglob("*") if _is_of_others(path)), None)


def _is_of_others(path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False  # another process has replaced it
    return found.st_uid != os.getuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def prune(folder: Path, keep: Path, now_s: float | None = None) -> None:
    """Remove machine code that nobody has used for a while.

    Several processes may do so at once, and one that still uses a folder only loses time: it compiles
    again.

    Parameters
    ----------
    folder : Path
        The folder that holds one folder per key.
    keep : Path
        The one in use, which stays in any case.
    now_s : float, optional
        Present time in seconds since the epoch.
    """
    now_s = time.time() if now_s is None else now_s
    idle = []
    for candidate in folder.iterdir():
        if candidate == keep:
            continue
        try:
            idle.append((now_s - (candidate / _USED).stat().st_mtime, candidate))
        except OSError:
            # Just made and not yet stamped, half removed, or not ours: all reasons to leave it alone.
            continue
    for rank, (idle_s, candidate) in enumerate(sorted(idle)):
        if idle_s > KEEP_s or (rank >= KEEP_NEWEST and idle_s > KEEP_SURPLUS_s):
            shutil.rmtree(candidate, ignore_errors=True)


def _is_ours(function: Callable[..., object]) -> bool:
    return Path(function.__code__.co_filename).resolve().is_relative_to(PACKAGE)
