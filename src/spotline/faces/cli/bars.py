"""Progress bars: on a terminal only, and none when quiet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

    from spotline.delivery.events import DeliveryEvent
    from spotline.delivery.progress import Progress
    from spotline.delivery.stream import Sink


def _shows(quiet: bool) -> bool:
    return not quiet and sys.stderr.isatty()


def _bar(after: str) -> RichBar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichBar

    return RichBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(after),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def is_compiled() -> bool:
    """Whether the loop of control law and simulated room is compiled already, here or in the cache."""
    from spotline.sim.loop import run_block

    loop: Any = run_block
    if not hasattr(loop, "signatures") or loop.signatures:
        return True  # plain Python (NUMBA_DISABLE_JIT), or called before
    folder = loop.stats.cache_path
    return folder is not None and any(Path(folder).glob("loop.run_block-*.nbi"))


@contextmanager
def delivery_bar(quiet: bool) -> Iterator[Sink | None]:
    """Show how far a delivery is: field, layer, spots, spill; not only there, that the first takes long."""
    if not quiet and not is_compiled():
        print(
            "spotline: the control law is being compiled for this computer; that takes a minute or two, the "
            "first time only",
            file=sys.stderr,
            flush=True,
        )
    if not _shows(quiet):
        yield None
        return
    with _bar("spots, spill {task.fields[spill]}, left") as bar:
        task = bar.add_task("preparing the fast loop (compiled on first use)", total=None, spill=0)

        def show(event: DeliveryEvent, progress: Progress) -> None:
            if progress.spill == 0:
                return
            bar.update(
                task,
                description=(
                    f"field {progress.field}/{progress.n_fields}, layer {progress.slice}/{progress.n_slices} "
                    f"({progress.energy_MeV_u:g} MeV/u)"
                ),
                total=progress.n_spots,
                completed=progress.spots,
                spill=progress.spill,
            )

        yield show


@contextmanager
def preparation_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many slices of a field are prepared."""
    if not _shows(quiet):
        yield None
        return
    with _bar("slices, left") as bar:
        task = bar.add_task("finding delivery paths", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, total=total, completed=done)

        yield show


@contextmanager
def campaign_bar(quiet: bool) -> Iterator[Callable[[int, int, int], None] | None]:
    """Show how many runs of a campaign are made, and how many violate an invariant."""
    if not _shows(quiet):
        yield None
        return
    with _bar("runs, {task.fields[bad]} with violations, left") as bar:
        task = bar.add_task("delivering", total=None, bad=0)

        def show(done: int, total: int, bad: int) -> None:
            bar.update(task, total=total, completed=done, bad=bad)

        yield show


@contextmanager
def optimisation_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far the optimisation of a plan is."""
    if not _shows(quiet):
        yield None
        return
    with _bar("steps, left") as bar:
        task = bar.add_task("preparing the beams", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="optimising", total=total, completed=done)

        yield show


@contextmanager
def library_bar(quiet: bool, ion: str) -> Iterator[Callable[[int, int, float], None] | None]:
    """Show how many energies of a library are simulated."""
    if not _shows(quiet):
        yield None
        return
    with _bar("energies, left") as bar:
        task = bar.add_task(f"{ion}: preparing the simulation (compiled on first use)", total=None)

        def show(done: int, total: int, share: float) -> None:
            # In whole energies as text, in parts of them as a bar.
            bar.update(task, description=f"simulating {ion}", total=total, completed=done + share)

        yield show


@contextmanager
def dose_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how many layers of a dose are computed."""
    if not _shows(quiet):
        yield None
        return
    with _bar("layers, left") as bar:
        task = bar.add_task("reading (compiled on first use)", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, description="adding dose", total=total, completed=done)

        yield show
