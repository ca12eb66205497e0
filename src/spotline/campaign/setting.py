"""What a campaign runs, and what fails in its run number k: a pure function of setting and k."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from spotline.errors import OptionError
from spotline.machine import BeamLine
from spotline.machine.model import BeamLineFile
from spotline.machine.monitors import INTEGRALS
from spotline.sim.faults import KINDS, Fault, draw, read_faults
from spotline.sim.faults.driver import checked
from spotline.treatment.duration import predict_duration
from spotline.treatment.treatment import Treatment

ALL, NONE = "all", "none"
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A campaign, but for how many runs it has and where they run.

    Attributes
    ----------
    treatment : Treatment
        What is delivered.
    seed : int
        Of the campaign.
    kinds : tuple of str
        Kinds of faults to draw from, in turn; empty if there is nothing to draw.
    fixed : tuple of Fault
        The same faults in every run.
    pairs : bool
        Whether two faults are drawn for each run.
    """

    treatment: Treatment
    seed: int
    kinds: tuple[str, ...] = ()
    fixed: tuple[Fault, ...] = ()
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """What makes one run.

    Attributes
    ----------
    run : int
        Its number, from 0.
    delivery_seed : int
        Seed of the simulated room.
    field : int
        Index of the field in which the faults strike.
    faults : tuple of Fault
    """

    run: int
    delivery_seed: int
    field: int
    faults: tuple[Fault, ...]


def choose(
    faults: str | Path | Sequence[Fault], beamline: BeamLine
) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """Read what is to fail.

    Parameters
    ----------
    faults : str, Path or sequence of Fault
        ``"all"`` that can fail on the line, ``"none"``, names of kinds with commas between them, a TOML
        file, or faults.
    beamline : BeamLine
        Has the monitors and boxes that can fail.

    Returns
    -------
    kinds : tuple of str
        To draw from.
    fixed : tuple of Fault
        The same in every run.

    Raises
    ------
    OptionError
        If a name is not that of a kind, or of one that the line cannot have.
    spotline.errors.SpotlineError
        If the file is broken.
    """
    if not isinstance(faults, str | Path):
        return (), tuple(checked(faults, beamline))
    text, facts = str(faults), beamline.facts
    missing = {name: kind.missing_on(facts.roles, len(facts.boxes)) for name, kind in KINDS.items()}
    if text == ALL:
        return tuple(name for name in KINDS if not missing[name]), ()
    if text == NONE:
        return (), ()
    if isinstance(faults, Path) or text.endswith(".toml") or Path(text).is_file():
        return (), tuple(checked(read_faults(Path(faults)), beamline))
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in KINDS:
            near = get_close_matches(name, [*KINDS, ALL, NONE], n=3) or [ALL, NONE]
            raise OptionError(
                f"faults: {name!r} is no kind of fault and no .toml file; did you mean {' or '.join(near)}?"
            )
        if missing[name]:
            raise OptionError(
                f"faults: {name} strikes {missing[name]}, which {beamline.name} does not have; leave it out"
            )
    return names, ()


@functools.lru_cache(maxsize=16)
def expected_spills(setting: Setting, field: int) -> int:
    """Spills that a field takes if nothing fails, to the nearest whole number."""
    treatment = setting.treatment
    return max(1, round(predict_duration(treatment.fields[field], treatment.beamline).total.spills))


def draw_run(setting: Setting, number: int) -> Drawn:
    """Draw what fails in a run.

    Kinds come in turn, so that each is met equally often.  With pairs, the second fault is of any kind that
    leaves at most one detection channel dead.

    Parameters
    ----------
    setting : Setting
    number : int
        Of the run, from 0.
    """
    entropy = np.random.SeedSequence((setting.seed, number))
    delivery_seed = int(entropy.generate_state(1, np.uint32)[0])
    if not setting.kinds:
        return Drawn(number, delivery_seed, 0, setting.fixed)
    generator = np.random.default_rng(entropy)
    field = int(generator.integers(len(setting.treatment.fields)))
    n_spills = expected_spills(setting, field)
    names = [setting.kinds[number % len(setting.kinds)]]
    if setting.pairs:
        facts = setting.treatment.beamline.facts
        partners = [name for name in setting.kinds if may_meet(names[0], name, facts)]
        if partners:
            names.append(partners[int(generator.integers(len(partners)))])
    return Drawn(number, delivery_seed, field, tuple(draw(name, generator, n_spills) for name in names))


def may_meet(first: str, second: str, facts: BeamLineFile) -> bool:
    """Whether faults of two kinds may strike in one run: at most one detection channel may be dead.

    What several devices share is a fault by itself, whatever it makes blind.
    """
    if KINDS[first].is_common or KINDS[second].is_common:
        return False
    dead = dead_channels(first, facts) | dead_channels(second, facts)
    return first != second and len(dead) <= 1


def dead_channels(name: str, facts: BeamLineFile) -> frozenset[str]:
    """Detection channels that cannot be relied on with a fault of some kind.

    What spoils gas, voltage or slow sensors of a box spoils the counts of the integral chambers in it, or
    their conversion.
    """
    kind = KINDS[name]
    if kind.box:
        return frozenset(role for role in INTEGRALS if facts.box_number(role) == kind.box)
    return frozenset() if kind.channel is None else frozenset({kind.channel})
