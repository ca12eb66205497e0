"""A beam line with spills of a few milliseconds and a field of a few spots, for whole runs of the loop.

As a program it runs one spill and keeps everything that came of it in a file, so that a test can have the
same done in another process, uncompiled.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from spotline.control.memory import NEVER, LawSettings, SliceMemory
from spotline.delivery.loading import law_settings, slice_memory
from spotline.machine import BeamLine, load_beamline
from spotline.machine.true_line import true_line_of
from spotline.room import Block, RawSamples, SpillResult
from spotline.sim.room import SimulatedRoom
from spotline.treatment import prepare
from spotline.treatment.treatment import FieldTreatment
from tests.lines.edit import copy_line, edit
from tests.treatment.plans import field, layer, plan_of

SHORT = (
    ("spill_length_s = 1.5", "spill_length_s = 0.008"),
    ("spill_rise_s = 0.05", "spill_rise_s = 0.001"),
    ("spill_fall_s = 0.02", "spill_fall_s = 0.0005"),
)


def short_line(folder: Path, *changes: tuple[str, str]) -> BeamLine:
    """The line cnao-h with an extraction of 8 ms, and further changes."""
    path = copy_line("cnao-h", folder)
    edit(path, *SHORT, *changes)
    return load_beamline(path)


def small_field(line: BeamLine, particles: float = 3e4) -> FieldTreatment:
    """Two rows of five spots 2 mm apart, 30 mm from each other: more than one spill of `short_line` holds."""
    x_mm = np.tile(np.arange(5) * 2.0 - 4.0, 2)
    y_mm = np.repeat([-15.0, 15.0], 5)
    spots = layer(x_mm, y_mm, particles * np.linspace(0.6, 1.4, 10))
    return prepare(plan_of(field(spots)), line).fields[0]


def control_of(line: BeamLine, treatment: FieldTreatment) -> tuple[LawSettings, SliceMemory]:
    """Settings and memory boards for the first spill of the first slice."""
    slice_ = treatment.slices[0]
    spots = np.arange(slice_.n_spots)
    settings = law_settings(line.facts, treatment.beam, slice_)
    return (
        settings._replace(unconfirmed_counts=NEVER),  # there is no journal
        slice_memory(slice_, spots, slice_.int1_counts, slice_.int2_counts),
    )


def run_spill(
    room: SimulatedRoom, settings: LawSettings, memory: SliceMemory, block_us: int = 100_000
) -> tuple[list[Block], SpillResult]:
    """Ask for a spill and run it to its end."""
    room.loop.load(settings, memory, room.accelerator.request_beam(memory.cycle_code))
    blocks: list[Block] = []
    while not (blocks and blocks[-1].finished):
        assert sum(block.n_samples for block in blocks) < 5_000_000, "the spill does not come to an end"
        blocks.append(room.loop.run(block_us))
    return blocks, room.loop.result()


def raw_of(blocks: list[Block]) -> RawSamples:
    """Raw samples of all blocks."""
    parts = [block.raw for block in blocks if block.raw is not None]
    return RawSamples(*(np.concatenate([getattr(p, name) for p in parts]) for name in RawSamples.__slots__))


def everything(blocks: list[Block], result: SpillResult) -> dict[str, np.ndarray]:
    """All that a spill leaves behind, as bytes."""
    told = {name: getattr(result, name) for name in SpillResult.__slots__}
    found: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    found |= {f"raw {name}": getattr(raw_of(blocks), name) for name in RawSamples.__slots__}
    found["trend"] = np.concatenate([block.trend for block in blocks])
    return {
        name: np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8) for name, value in found.items()
    }


def two_spills(folder: Path, block_us: int = 100_000) -> dict[str, np.ndarray]:
    """Run two spills in a row and return all that they leave behind."""
    line = short_line(folder)
    settings, memory = control_of(line, small_field(line))
    room = SimulatedRoom(true_line_of(line), field_number=1, seed=42, raw=True)
    found = {}
    for spill in (1, 2):
        for name, value in everything(*run_spill(room, settings, memory, block_us)).items():
            found[f"spill {spill} {name}"] = value
    return found


if __name__ == "__main__":
    with np.errstate(over="ignore"):
        np.savez(sys.argv[2], **two_spills(Path(sys.argv[1])))
