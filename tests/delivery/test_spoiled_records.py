"""Any file of a record, and any two, lost, cut or swapped: readers agree on what was given, or refuse."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NoReturn

import pytest

import spotline
from spotline import BeamLine, RecordError, open_record, resume
from spotline.dicom.write_plan import write_ion_plan
from spotline.machine.true_line import true_line_of
from spotline.planning.continuation import continuation_plan
from spotline.record.merged import merge_records
from spotline.room import Room
from spotline.sim.room import SimulatedRoom
from spotline.treatment import FieldTreatment
from tests.delivery.deliveries import astray_in
from tests.rooms import LoopBehind
from tests.treatment.plans import CARBON_MeV_u, field, plan_of, square

LAYERS = tuple(square(3, 4.0, 3e6, index=i, energy_MeV_u=e) for i, e in enumerate(CARBON_MeV_u[:3]))
WHO = {"operator": "a physicist", "reason": "the cause is gone", "documents": False}
FILES = (
    "delivery.json",
    "field-01/DDS_treatment.h5",
    "field-01/journal.bin",
    "field-01/field.json",
    "field-01/spills/spill-0001.h5",
    "field-01/spills/spill-0002.h5",
    "summary.json",
    "status.json",
)
KINDS = ("absent", "empty", "cut", "older", "newer", "another's")


class Stop(BaseException):
    """The process ends here."""


class LoadedError(BaseException):
    """The beam was about to be given: to these counts.  An `Exception` of a room would be an interlock."""


class NoBeam(LoopBehind):
    """A fast loop that tells what it is loaded with, and lets no beam through."""

    def load(self, settings, memory, broadcast) -> NoReturn:
        raise LoadedError(memory.int1_counts.tolist())


@dataclass(frozen=True)
class Story:
    """A record: as it was, is, will be, and another one of the same plan."""

    is_: dict[str, Path]
    dies: bool


def stories(line: BeamLine, folder: Path, *, seed: int, dies: bool) -> tuple[Path, Path, Path]:
    """A delivery after its first spill, after it died or was stopped in its second one, and at its end."""
    older, now, newer = folder / "older", folder / "now", folder / "newer"
    plan = plan_of(field(*LAYERS))
    write_ion_plan(replace(plan, path=folder / "plan.dcm"), folder / "plan.dcm")
    treatment = spotline.prepare(spotline.read_plan(folder / "plan.dcm"), line)

    def after_spill(out: Path) -> None:
        spills = len(list(out.glob("field-01/spills/*.h5")))
        if spills == 1:
            shutil.copytree(out, older)
        if dies and spills == 2:
            raise Stop

    options = {"seed": seed, "after_spill": after_spill}
    if dies:
        with pytest.raises(Stop):
            spotline.deliver(treatment, now, **options)
    else:
        spotline.deliver(treatment, now, make_room=astray_in(line, range(2, 100)), **options)
    shutil.copytree(now, newer)
    resume(newer, **WHO)
    return older, now, newer


@pytest.fixture(scope="module", params=["killed", "stopped"])
def story(request: pytest.FixtureRequest, line: BeamLine, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("this", "other"):
        (folder / name).mkdir()
    dies = request.param == "killed"
    older, now, newer = stories(line, folder / "this", seed=1, dies=dies)
    _, other, _ = stories(line, folder / "other", seed=2, dies=dies)
    return Story({"now": now, "older": older, "newer": newer, "another's": other}, dies)


def spoilings(story: Story) -> Iterator[tuple[str, str]]:
    """All that can be done to one file and changes it."""
    for name in FILES:
        now = story.is_["now"] / name
        for kind in KINDS:
            source = story.is_.get(kind)
            if source is None:
                if now.exists():
                    yield name, kind
            elif (source / name).exists() and not (
                now.exists() and now.read_bytes() == (source / name).read_bytes()
            ):
                yield name, kind


def spoil(folder: Path, story: Story, name: str, kind: str) -> None:
    path = folder / name
    content = (story.is_["now"] / name).read_bytes() if (story.is_["now"] / name).exists() else b""
    path.unlink(missing_ok=True)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind != "absent":
        path.write_bytes((story.is_[kind] / name).read_bytes())


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What each who reads a record takes as given.


def by_resume(folder: Path, line: BeamLine) -> object:
    """Counts that the next spill would be loaded with; nothing if there is none."""

    def make_room(treatment: FieldTreatment, _: int) -> Room:
        room = SimulatedRoom(true_line_of(line), treatment.field.number, 1)
        return Room(room.accelerator, NoBeam(room.loop), room.sensors)

    try:
        resume(folder, make_room=make_room, **WHO)
    except LoadedError as loaded:
        return loaded.args[0]
    return "nothing"


def by_continuation(folder: Path, line: BeamLine) -> object:
    """What the plan of the rest asks for, spot by spot."""
    record = open_record(folder)
    merged = merge_records([record])
    if all(field.is_complete for field in merged.fields):
        return "nothing"
    plan = continuation_plan([record], spotline.read_plan(next((folder / "plan").glob("*.dcm"))))
    return [layer.meterset.tolist() for layer in plan.fields[0].layers]


def by_dose(folder: Path, line: BeamLine) -> object:
    """Particles of every spot."""
    (delivered,) = open_record(folder).fields
    spots = delivered.spots
    return [spots[name].tolist() for name in ("planned_layer", "planned_spot", "particles", "complete")]


READERS: dict[str, Callable[[Path, BeamLine], object]] = {
    "resume": by_resume,
    "continuation": by_continuation,
    "dose": by_dose,
}


# When a delivery dies, its journal and its spill files are all that is sure to know how far it was.  Both as
# they were after the first spill are what a delivery that died then leaves: nothing in the folder tells.
ROLLED_BACK = {("field-01/journal.bin", "older"), ("field-01/spills/spill-0002.h5", "absent")}


def copied(source: Path, folder: Path) -> Path:
    """Copy a record; what is never written in place is linked, which is faster."""

    def copy(one: str, other: str) -> None:
        (os.link if one.endswith(".h5") else shutil.copy)(one, other)

    shutil.copytree(source, folder, copy_function=copy)
    return folder


def refused_or(read: Callable[[Path, BeamLine], object], folder: Path, line: BeamLine) -> object | None:
    """What a reader takes as given; None if it refuses, in one line."""
    try:
        return read(folder, line)
    except RecordError as error:
        if "\n" in str(error):
            raise
        return None


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("part", range(4))
def test_agrees_or_refuses(reader: str, part: int, story: Story, line: BeamLine, tmp_path: Path):
    read = READERS[reader]
    given = {when: read(copied(story.is_[when], tmp_path / when), line) for when in ("now", "newer")}
    assert given["now"] != given["newer"]
    singles = list(spoilings(story))
    assert {name for name, _ in singles} == set(FILES)
    pairs = [pair for pair in combinations(singles, 2) if pair[0][0] != pair[1][0]]
    outcomes = Counter()
    for number, spoiled in enumerate([*((one,) for one in singles), *pairs]):
        if number % 4 != part:
            continue
        out = copied(story.is_["now"], tmp_path / str(number))
        for name, kind in spoiled:
            spoil(out, story, name, kind)
        before = files(out)
        found = refused_or(read, out, line)
        after = files(out)
        if found is None:
            assert after == before, spoiled
        else:
            if not (story.dies and set(spoiled) == ROLLED_BACK):
                assert found == given["now"], spoiled
            measured = {name for name in before if "/spills/" in name}
            assert all(after[name] == before[name] for name in measured), spoiled
        outcomes[found is None] += 1
        shutil.rmtree(out)
    assert outcomes[True] > 50
    assert outcomes[False] > 1
