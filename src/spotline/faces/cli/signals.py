"""Signals that end a verb: they become an exception, so that everything that was begun is cleared away."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM)
GRACE_S = 1.0
"""So long compiled code may keep Python from hearing of a signal; and signals that come again within this
time are the same one, as batch systems and `timeout` send it."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM: what an interruption by hand clears away, this does too."""


def status_of(interrupted: KeyboardInterrupt) -> int:
    """Exit status of a process that a signal ended."""
    return 128 + (signal.SIGTERM if isinstance(interrupted, Terminated) else signal.SIGINT)


def listen() -> Callable[[], int | None]:
    """From now on SIGINT and SIGTERM raise `KeyboardInterrupt` and `Terminated` in the main thread.

    A signal that is ignored already, as of what a shell started in the background, stays ignored.  If Python
    does not hear of a signal because compiled code computes on, the process ends without it: such code writes
    nothing.

    Returns
    -------
    callable
        Tells which signal was heard, None if none was: libraries that are imported at that moment may make
        another error of it.
    """
    heard = threading.Event()
    heard_s = -GRACE_S
    which: int | None = None

    def hear(number: int, _: FrameType | None) -> None:
        nonlocal heard_s, which
        heard.set()
        which = number
        again = time.monotonic() - heard_s < GRACE_S
        if again:
            return
        heard_s = time.monotonic()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    read, write = os.pipe()
    os.set_blocking(write, False)
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, hear)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)  # told at once, whatever the main thread does

    def watch() -> None:
        while True:
            number = os.read(read, 1)[0]
            if number in ENDING and not heard.wait(GRACE_S):
                leave(128 + number)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return lambda: which


def leave(status: int) -> NoReturn:
    """End the process now: threads that compute would be waited for otherwise."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
