"""Where runs are made: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Any

from spotline.campaign.leash import at_work, hold
from spotline.campaign.one import run_one
from spotline.campaign.row import Row
from spotline.campaign.setting import Setting
from spotline.errors import OptionError

CHUNKS_PER_WORKER = 16
LARGEST_CHUNK = 50
CONNECT_s = 10

_SETTING: Setting | None = None
"""Of a worker process: it is sent once, not with every run."""


def rows_of(
    setting: Setting, numbers: Sequence[int], workers: int, scheduler: str | None
) -> Generator[Row, None, None]:
    """Make runs, and yield their rows as they come.

    Parameters
    ----------
    setting : Setting
    numbers : sequence of int
        Of the runs.
    workers : int
        Processes on this machine; one makes the runs in this process.
    scheduler : str or None
        Address of a Dask scheduler; its workers make the runs instead.

    Raises
    ------
    OptionError
        If the cluster cannot be had.
    """
    if scheduler is not None:
        yield from _on_cluster(setting, numbers, scheduler)
    elif workers == 1 or len(numbers) <= 1:
        for number in numbers:
            yield run_one(setting, number)
    else:
        yield from _in_processes(setting, numbers, workers)


def chunks_of(numbers: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Divide runs among workers: several chunks for each, so that none waits long for the last one."""
    size = max(1, min(LARGEST_CHUNK, len(numbers) // (workers * CHUNKS_PER_WORKER)))
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _in_processes(setting: Setting, numbers: Sequence[int], workers: int) -> Iterator[Row]:
    # Fresh processes: a copy of this one could inherit locks of its threads.
    held, leash = Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(setting, held))
    with held, leash, pool:
        try:
            # One by one: a run takes far longer than sending its row, and what is here is kept.
            for done in as_completed([pool.submit(_make, number) for number in numbers]):
                yield done.result()
        except BaseException as error:
            leash.close()  # the workers end
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise OptionError(
                    f"workers: one of the {workers} processes ended before its run was made (out of "
                    "memory?); take fewer, and go on with --resume"
                ) from None
            raise


def _begin(setting: Setting, held: Connection) -> None:
    global _SETTING
    _SETTING = setting
    hold(held)


def _make(number: int) -> Row:
    assert _SETTING is not None
    with at_work():
        return run_one(_SETTING, number)


def _on_cluster(setting: Setting, numbers: Sequence[int], scheduler: str) -> Iterator[Row]:
    try:
        from distributed import Client
        from distributed import as_completed as as_they_come
    except ImportError:
        raise OptionError(
            f"scheduler {scheduler}: Dask is not installed here; install spotline[cluster], or leave the "
            "scheduler out"
        ) from None
    try:
        client = Client(scheduler, timeout=CONNECT_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"scheduler {scheduler}: cannot be reached ({' '.join(str(error).split())}); start it or correct "
            "its address"
        ) from None
    with client:
        n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if not n_workers:
            raise OptionError(f"scheduler {scheduler}: has no workers; start some")
        sent = client.scatter(setting, broadcast=True, hash=False)
        own = version("spotline")
        chunks = [
            client.submit(_remote_chunk, sent, list(chunk), own, pure=False)
            for chunk in chunks_of(numbers, n_workers)
        ]
        for done in as_they_come(chunks, loop=client.loop):
            yield from done.result()
            done.release()


def _remote_chunk(setting: Any, numbers: Sequence[int], wanted: str) -> list[Row]:
    found = version("spotline")
    if found != wanted:
        raise OptionError(f"a worker of the cluster has spotline {found}, not {wanted} as here; install that")
    return [run_one(setting, number) for number in numbers]
