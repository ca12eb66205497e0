"""Hold seeded runs of a campaign against what they gave last time.

::

    python -m verification.regression --write verification/data/regression.json
    python -m verification.regression

The first remembers, the second compares, with status 1 if anything is off.  Bounds say what must never be
(docs/reference/campaign.md); these values say that nothing has changed unnoticed.  Margins go to both sides:
what got better is to be remembered anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

import spotline
from spotline.campaign.one import run_one
from spotline.campaign.row import Row
from spotline.campaign.setting import Setting
from spotline.machine.true_line import TrueLine, true_line_of
from spotline.sim.faults import KINDS
from verification.page import command, say
from verification.runs import EXAMPLES, ROOT

PLAN, LINE, SEED = "two_layers_carbon.dcm", "cnao-h", 5
VALUES = ROOT / "verification" / "data" / "regression.json"

SPOT_us = 100.0
"""Margin of a spot: particles of so much beam of the nominal intensity; a tenth of a millisecond is four scan
periods, and half of what a law must not be slower."""
FIELD_percent = 0.1
"""Margin of a field: gain maps and gas sensors of the simulated room are good to that."""
BEAM_OFF_us = 50.0
"""Margin of the time to beam off: two scan periods."""


class Kind(msgspec.Struct, frozen=True):
    """What the runs with one kind of fault gave; none: no run has the figure.

    Attributes
    ----------
    excess : float
        Most particles that a spot got too many (that nearest to its bound).
    field_low_percent, field_high_percent : float or None
        Fields that were delivered whole, beyond what the chamber that ends the spots makes of them.
    beam_off_us : int or None
        Longest time from an interlock to the last ion.
    """

    excess: float
    field_low_percent: float | None
    field_high_percent: float | None
    beam_off_us: int | None


class Values(msgspec.Struct, frozen=True):
    """The file: what was run, and what each kind gave."""

    command: str
    plan: str
    beamline: str
    seed: int
    runs: int
    centre_percent: float
    kinds: dict[str, Kind]


@dataclass(frozen=True, slots=True)
class Margins:
    """How far a figure may be off, to both sides."""

    excess: float
    field_percent: float = FIELD_percent
    beam_off_us: float = BEAM_OFF_us


def centre_percent(line: TrueLine) -> float:
    """Excess of a field in percent that follows from the true gain of the chamber that counts most.

    It ends the spots: what it counts too much the spots get too little.
    """
    chambers = line.simulation.chambers
    return 100.0 * (1.0 / max(chambers.int1_gain, chambers.int2_gain) - 1.0)


def margins_of(setting: Setting) -> Margins:
    """Margins for the runs of a setting."""
    intensity = max(s.particles_per_s for field in setting.treatment.fields for s in field.slices)
    return Margins(excess=SPOT_us * 1e-6 * intensity)


def values_of(rows: Iterable[Row], prescribed: float, centre: float) -> dict[str, Kind]:
    """Sum up runs by kind of fault.

    Parameters
    ----------
    rows : iterable of Row
        Of runs with one fault, as `spotline.campaign` makes them.
    prescribed : float
        Particles of the field.
    centre : float
        What the field is off by without a fault, in percent.
    """
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.fault1, []).append(row)
    found = {}
    for name, some in kinds.items():
        whole = [100.0 * r.excess_field / prescribed - centre for r in some if r.outcome != "stopped"]
        delays = [r.beam_off_us for r in some if r.beam_off_us is not None]
        found[name] = Kind(
            excess=max(r.excess for r in some),
            field_low_percent=round(min(whole), 4) if whole else None,
            field_high_percent=round(max(whole), 4) if whole else None,
            beam_off_us=max(delays, default=None),
        )
    return found


def compare(now: dict[str, Kind], then: dict[str, Kind], margins: Margins) -> list[str]:
    """Name every figure that is not what it was, in words."""
    found = []
    for name in sorted(now.keys() | then.keys()):
        if name not in now or name not in then:
            found.append(f"{name}: {'is new' if name in now else 'is missing'}; remember the values anew")
            continue
        for figure, margin in (
            ("excess", margins.excess),
            ("field_low_percent", margins.field_percent),
            ("field_high_percent", margins.field_percent),
            ("beam_off_us", margins.beam_off_us),
        ):
            one, other = getattr(now[name], figure), getattr(then[name], figure)
            if (one is None) != (other is None) or (one is not None and abs(one - other) > margin):
                found.append(f"{name}: {figure} is {one}, was {other} (margin {margin:g})")
    return found


def setting_of() -> Setting:
    """The campaign that is remembered: every kind of fault in turn."""
    treatment = spotline.prepare(spotline.read_plan(EXAMPLES / PLAN), spotline.load_beamline(LINE))
    return Setting(treatment, SEED, tuple(KINDS))


def main(arguments: list[str]) -> int:
    """Make the runs, and remember or compare."""
    parser = argparse.ArgumentParser(
        prog="python -m verification.regression", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="remember the values in a file")
    parser.add_argument("--runs", type=int, default=len(KINDS), help="by default one of each kind")
    options = parser.parse_args(arguments)
    setting = setting_of()
    rows = []
    for number in range(options.runs):
        rows.append(run_one(setting, number))
        if (number + 1) % 20 == 0:
            say(f"{number + 1} of {options.runs} runs")
    centre = centre_percent(true_line_of(setting.treatment.beamline))
    kinds = values_of(rows, setting.treatment.fields[0].particles, centre)
    if options.write is not None:
        values = Values(command(sys.argv), PLAN, LINE, SEED, options.runs, round(centre, 4), kinds)
        made = msgspec.json.format(msgspec.json.encode(values), indent=1)
        options.write.write_bytes(made + b"\n")
        return 0
    then = msgspec.json.decode(VALUES.read_bytes(), type=Values)
    differ = compare(kinds, then.kinds, margins_of(setting))
    for text in differ:
        print(text)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
