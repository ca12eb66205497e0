"""A process that stands ready to be timed: one version of the program, one round whenever it is asked.

Started by `benchmarks.against` with the version's own tree on its path.  Each line of standard input asks for
a round, as JSON: ``{"kind": "loop", "name": "proton 62.73 MeV/u, 10 %"}``.  Each line of standard output
answers with its seconds, or with ``null`` where the version has no such case.
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import spotline
from benchmarks.cases import BEAMS, EXAMPLES, Loaded, TIMED_us, loaded
from benchmarks.test_replay import record
from spotline.control.memory import new_state
from spotline.control.replay import Recording, Scratch, replay_spill
from spotline.room import Broadcast
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.treatment import Treatment


@functools.cache
def beam_spill(name: str) -> Loaded | None:
    """The spill of a beam, prepared once."""
    return next((loaded(beam) for beam in BEAMS if beam.name == name), None)


def loop_s(name: str, *, raw: bool) -> float | None:
    """A tenth of a second of beam by plant and law."""
    spill = beam_spill(name)
    if spill is None:
        return None
    loop = spill.room_with_beam(raw=raw).loop
    begun = time.perf_counter()
    loop.run(TIMED_us)
    return time.perf_counter() - begun


@functools.cache
def recorded(name: str) -> tuple[Loaded, Recording, Scratch, Broadcast] | None:
    """Raw samples of a beam, made once."""
    spill = beam_spill(name)
    return None if spill is None else (spill, *record(spill))


def replay_s(name: str) -> float | None:
    """Half a second of recorded samples by the law."""
    found = recorded(name)
    if found is None:
        return None
    spill, recording, scratch, broadcast = found
    announced = broadcast.extraction_start_us, broadcast.extraction_end_us
    law = new_state(spill.memory, spill.settings, len(scratch.strip_x), announced[0] - PRE_ROLL_us, announced)
    begun = time.perf_counter()
    replay_spill(law, spill.settings, spill.memory, recording, scratch)
    return time.perf_counter() - begun


@functools.cache
def treatment_of(name: str) -> Treatment | None:
    """An example, prepared once."""
    plan = EXAMPLES / f"{name}.dcm"
    if not plan.is_file():
        return None
    return spotline.prepare(spotline.read_plan(plan), spotline.load_beamline("cnao-h"))


def delivery_s(name: str, *, report: bool) -> float | None:
    """A delivery with all its files, with or without its report."""
    treatment = treatment_of(name)
    if treatment is None:
        return None
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()
    delivered = spotline.deliver(treatment, folder / "record")
    if report:
        spotline.write_report(delivered, folder / "report.html")
    taken = time.perf_counter() - begun
    shutil.rmtree(folder)
    return taken


def answer(kind: str, name: str) -> float | None:
    """Run one round."""
    if kind.startswith("loop"):
        return loop_s(name, raw=kind == "loop, raw samples")
    if kind == "replay":
        return replay_s(name)
    return delivery_s(name, report=kind == "delivery with report")


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
