"""What a campaign runs, and what fails in its run number k: a pure function of setting and k."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from spotline.errors import OptionError
from spotline.sim.faults import KINDS, Fault, draw, read_faults
from spotline.treatment.duration import predict_duration
from spotline.treatment.treatment import Treatment

ALL, NONE = "all", "none"
LARGEST_SEED = 2**63 - 1

_OF_A_BOX = ("box", "high_voltage", "sensor_")


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
    delivery_seed : int
        Seed of the simulated room.
    field : int
        Index of the field in which the faults strike.
    faults : tuple of Fault
    """

    delivery_seed: int
    field: int
    faults: tuple[Fault, ...]


def choose(faults: str | Path | Sequence[Fault]) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """Read what is to fail.

    Parameters
    ----------
    faults : str, Path or sequence of Fault
        ``"all"``, ``"none"``, names of kinds with commas between them, a TOML file, or faults.

    Returns
    -------
    kinds : tuple of str
        To draw from.
    fixed : tuple of Fault
        The same in every run.

    Raises
    ------
    OptionError
        If a name is not that of a kind.
    spotline.errors.SpotlineError
        If the file is broken.
    """
    if not isinstance(faults, str | Path):
        return (), tuple(faults)
    text = str(faults)
    if text == ALL:
        return tuple(KINDS), ()
    if text == NONE:
        return (), ()
    if isinstance(faults, Path) or text.endswith(".toml") or Path(text).is_file():
        return (), tuple(read_faults(Path(faults)))
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in KINDS:
            near = get_close_matches(name, [*KINDS, ALL, NONE], n=3) or [ALL, NONE]
            raise OptionError(
                f"faults: {name!r} is no kind of fault and no .toml file; did you mean {' or '.join(near)}?"
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
        return Drawn(delivery_seed, 0, setting.fixed)
    generator = np.random.default_rng(entropy)
    field = int(generator.integers(len(setting.treatment.fields)))
    n_spills = expected_spills(setting, field)
    names = [setting.kinds[number % len(setting.kinds)]]
    if setting.pairs:
        partners = [name for name in setting.kinds if may_meet(names[0], name)]
        if partners:
            names.append(partners[int(generator.integers(len(partners)))])
    return Drawn(delivery_seed, field, tuple(draw(name, generator, n_spills) for name in names))


def may_meet(first: str, second: str) -> bool:
    """Whether faults of two kinds may strike in one run: at most one detection channel may be dead.

    What several devices share is a fault by itself, whatever it makes blind.
    """
    if KINDS[first].is_common or KINDS[second].is_common:
        return False
    dead = {dead_channel(name) for name in (first, second)} - {None}
    return first != second and len(dead) <= 1


def dead_channel(name: str) -> str | None:
    """Detection channel that cannot be relied on with a fault of some kind, or None.

    What spoils gas, voltage or slow sensors of a box spoils the counts of its integral chamber, or their
    conversion.
    """
    kind = KINDS[name]
    if kind.device.startswith(_OF_A_BOX) and not kind.is_common:
        return f"int{kind.device[-1]}"
    return kind.channel
