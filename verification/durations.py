"""Hold the predicted delivery time against deliveries in closed loop, and write it down.

    python -m verification.durations                                   # print the page
    python -m verification.durations --only choices --seeds 1          # one section
    python -m verification.durations --write docs/reference/verification-durations.md

The picture of the explanation goes to ``docs/images``.  Plans of other planning systems lie beside the
repository (``../shared/plans``); without them only the examples are delivered.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Drawing

import spotline
from spotline.arrays import Floats
from spotline.control.memory import COMMAND_CHOPPER_CLOSE, COMMAND_CHOPPER_OPEN
from spotline.machine import BeamLine
from spotline.machine.accelerator import Synchrotron
from spotline.measurement import Limits
from spotline.record.model import Table
from spotline.record.statistics import field_statistics
from spotline.treatment import Options
from spotline.treatment.duration import FieldDuration, predict_duration
from tests.lines.facts import with_facts
from tests.lines.trip import write_trip_line
from verification import pictures
from verification.figures import Figure, figure, judge, number, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.runs import EXAMPLES, ROOT, SHARED, Delivered, Job, Square, deliver, line_of, treatment_of

IMAGES = ROOT / "docs" / "images"
PICTURE = "delivery-time.svg"
TOLERANCE = 0.03

PLANS = (
    ("cubes/carbon_cube_15cm_plan.dcm", "cnao-v"),
    ("cubes/proton_cube_15cm_plan.dcm", "trip"),
    ("dcpt/eclipse_sobp_plan.dcm", "dcpt-like"),
    ("dcpt/eclipse_mono160_plan.dcm", "dcpt-like"),
    ("dcpt/raystation_ramp_full_plan.dcm", "dcpt-like"),
    ("headphantom/RN.*.dcm", "dcpt-like"),
    ("trip98/tst003012.rst", "trip"),
    ("trip98/tst003001.rst", "trip"),
    ("trip98/tst003001.rst", "dcpt-like"),
)
"""Plan, and a line that suits it."""

UNIFORM, THREE_LAYERS = "uniform_carbon_60mm.dcm", "three_layers_proton.dcm"
CHOICES = (
    *(
        (f"intensity {level:.0%}".replace("%", " %"), Options(intensity=level))
        for level in (1.0, 0.5, 0.2, 0.1)
    ),
    ("order of the plan", Options(order="planned")),
    ("2 paintings, layered", Options(paintings=2)),
    ("4 paintings, layered", Options(paintings=4)),
    ("3 paintings, volumetric", Options(paintings=3, repainting="volumetric")),
    ("beam off beyond 5 mm", Options(beam_off_jump_mm=5.0)),
    ("beam off at every move", Options(beam_off_jump_mm=1.0)),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A field, and how it is prepared."""

    name: str
    line: str
    job: Job


@dataclass(frozen=True, slots=True)
class Came:
    """What one delivery took."""

    complete: bool
    spills: int
    treatment_s: float
    beam_on_s: float
    transit_s: float
    pause_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The prediction for a field, and its deliveries with several seeds."""

    case: Case
    predicted: FieldDuration
    full: FieldDuration  # predicted as if all rings were the same
    came: tuple[Came, ...]

    def deviations(self, name: str) -> Floats:
        """Predicted over delivered, minus 1, of each delivery."""
        came = np.array([getattr(c, name) for c in self.came])
        return np.asarray(getattr(self.predicted.total, name) / came - 1.0)

    def deviation(self, name: str) -> float:
        """Predicted over the mean of what was delivered, minus 1."""
        return _deviation(getattr(self.predicted.total, name), self.came, name)


Check = Callable[["Runner"], list[str]]


class Runner:
    """Delivers cases and says how far it is.

    Parameters
    ----------
    seeds : int
        Deliveries of each case.
    folder : Path
        For beam lines that are made on the way.
    """

    def __init__(self, seeds: int, folder: Path) -> None:
        self.seeds = seeds
        self.results: dict[str, list[Comparison]] = {}
        self.lines = {name: name for name in ("cnao-h", "cnao-v", "dcpt-like")}
        if SHARED.is_dir():
            self.lines["trip"] = str(write_trip_line(folder / "trip"))

    def cases(self) -> Iterable[Case]:
        """Every field of every plan that is there."""
        yield Case(f"`examples/{UNIFORM}`", "cnao-h", Job(str(EXAMPLES / UNIFORM)))
        yield Case(f"`examples/{THREE_LAYERS}`", "cnao-h", Job(str(EXAMPLES / THREE_LAYERS)))
        for pattern, line in PLANS:
            for path in sorted((SHARED / "plans").glob(pattern))[:1]:
                job = Job(str(path), line=self.lines[line])
                # The names of some plans are made of identifiers.
                label = pattern.replace("RN.*.dcm", "RN plan")
                for index, field in enumerate(treatment_of(job).fields):
                    yield Case(f"{label}, {field.field.number}", line, replace(job, field=index))

    def compare(self, section: str, cases: Sequence[Case]) -> list[Comparison]:
        """Predict and deliver cases."""
        found = []
        for index, case in enumerate(cases, start=1):
            treatment = treatment_of(case.job)
            field, line = treatment.fields[case.job.field], treatment.beamline
            came = []
            for seed in range(self.seeds):
                say(f"{section} {index}/{len(cases)}: {case.name} on {case.line}, seed {seed}")
                came.append(_came(deliver(replace(case.job, seed=seed))))
            full = predict_duration(field, _with_full_rings(line))
            found.append(Comparison(case, predict_duration(field, line), full, tuple(came)))
        self.results[section] = found
        return found


def _with_full_rings(line: BeamLine) -> BeamLine:
    """The line with rings that all hold the same; it is as it was if there is no ring."""
    key = "spill_charge_spread"
    has_ring = hasattr(line.facts.accelerator, key)
    return with_facts(line, {f"accelerator.{key}": 0.0}) if has_ring else line


def check_plans(runner: Runner) -> list[str]:
    """Every plan on a line that suits it."""
    found = runner.compare("plans", list(runner.cases()))
    rows = [
        (*_row(c), percent(_deviation(c.full.total.treatment_s, c.came, "treatment_s"), 2, sign=True))
        for c in found
    ]
    seeds = f"seeds 0 to {runner.seeds - 1}"
    return [
        "## Plans",
        fill(
            f"""Prepared with the default options, delivered with {seeds}. *Mean* is the prediction over the
            mean of the deliveries, minus 1; *worst* is the largest deviation of a single delivery. In the
            last column every ring has its nominal charge (`spill_charge_spread = 0`): what a prediction
            that takes all rings for the same would miss."""
        ),
        table((*HEADER, "treatment, all rings full"), rows),
        fill(
            """How many spills a slice takes is a matter of chance where it needs nearly a whole number of
            them: a ring with less than usual makes one more spill, which is a whole cycle. A single delivery
            therefore scatters by so many cycles as stand behind the ± of the predicted spills, and nothing
            that is known beforehand can tell which way. `dcpt-like` has a cyclotron: no rings, no cycles,
            and the
            times of its layers are those in which energies are switched."""
        ),
    ]


def check_parts(runner: Runner) -> list[str]:
    """Where the time goes."""
    found = runner.results.get("plans") or runner.compare("plans", list(runner.cases()))
    rows = []
    for c in found:
        total = c.predicted.total
        rows.append(
            (
                c.case.name,
                c.case.line,
                total.visits,
                number(total.beam_on_s - total.ramp_s, 2, "s"),
                number(total.ramp_s, 2, "s"),
                number(total.gap_s, 1, "s"),
                figure(total.pause_s, ".3f", "s", more=f" ({_mean(c.came, 'pause_s'):.3f})"),
                figure(total.transit_s, ".3f", "s", more=f" ({_mean(c.came, 'transit_s'):.3f})"),
            )
        )
    return [
        "## Where the time goes",
        fill(
            """Predicted; in brackets the mean of the deliveries. *Ramps* is what beam-on time exceeds that of
            full intensity by: rise and fall of the spills, and rings that are empty before the spill ends.
            *Transit* is part of the beam-on time: the beam stays on while the magnets move to a neighbour."""
        ),
        table(
            (
                "Plan, field",
                "line",
                "visits",
                "full intensity",
                "ramps",
                "gaps between spills",
                "pauses for jumps",
                "transit with the beam on",
            ),
            rows,
        ),
    ]


def check_choices(runner: Runner) -> list[str]:
    """The choices of the preparation, on two fields."""
    cases = [
        Case(f"{name}, {choice}", line, replace(job, options=options))
        for name, line, job in _choice_fields(runner)
        for choice, options in CHOICES
    ]
    rows = [_row(c) for c in runner.compare("choices", cases)]
    return [
        "## Intensity, order, repainting, jumps",
        fill(
            """The same with other options of `prepare`. Where the beam is off at nearly every move, beam-on
            time is predicted too short: spots are completed most often on a crest of the intensity, so the
            pauses, which take their time whatever the intensity is, waste crests. The control system does
            not know the ripple; without it, such fields agree as the others do (see the tests)."""
        ),
        table(HEADER, rows),
    ]


def _choice_fields(runner: Runner) -> Iterable[tuple[str, str, Job]]:
    yield "uniform carbon", "cnao-h", Job(str(EXAMPLES / UNIFORM))
    path = SHARED / "plans" / "trip98" / "tst003001.rst"
    if path.is_file():
        yield "trip98/tst003001.rst", "trip", Job(str(path), line=runner.lines["trip"])


CHECKS: dict[str, Check] = {"plans": check_plans, "parts": check_parts, "choices": check_choices}
"""Sections of the page, in its order."""

HEADER = (
    "Plan, field",
    "line",
    "spills predicted",
    "delivered",
    "treatment predicted",
    "delivered",
    "mean",
    "worst",
    "beam on predicted",
    "delivered",
    "mean",
    "worst",
)


def _row(c: Comparison) -> tuple[str, ...]:
    """One line of a table of comparisons."""
    total = c.predicted.total
    cells = [
        c.case.name + ("" if all(came.complete for came in c.came) else " (not complete)"),
        c.case.line,
        Figure(f"{total.spills:.2f} ± {total.spills_sd:.2f}", total.spills),
        Figure(", ".join(str(came.spills) for came in c.came), _mean(c.came, "spills")),
    ]
    for name, digits in (("treatment_s", 2), ("beam_on_s", 3)):
        deviations = c.deviations(name)
        cells += [
            number(getattr(total, name), digits, "s"),
            number(_mean(c.came, name), digits, "s"),
            percent(c.deviation(name), 2, sign=True),
            percent(float(deviations[np.argmax(np.abs(deviations))]), 2, sign=True),
        ]
    return tuple(cells)


def _came(delivered: Delivered) -> Came:
    """What a delivery took, from its record."""
    record = delivered.record
    statistics = field_statistics(record)
    spots = record.spots
    starts = np.cumsum([0, *(s.n_spots for s in delivered.slices)])
    beam_off = np.concatenate([s.beam_off for s in delivered.slices])[starts[spots["slice"]] + spots["spot"]]
    return Came(
        complete=record.header["status"] == "complete",
        spills=statistics.spills,
        treatment_s=statistics.treatment_s,
        beam_on_s=statistics.beam_on_s,
        transit_s=float(np.nansum(spots["transit_us"][~beam_off])) * 1e-6,
        pause_s=math.fsum(map(_paused_us, delivered.commands)) * 1e-6,
    )


def _paused_us(commands: Table) -> float:
    """Time between switching the beam off and on again within a spill."""
    opened = commands["tick"][commands["command"] == COMMAND_CHOPPER_OPEN]
    closed = commands["tick"][commands["command"] == COMMAND_CHOPPER_CLOSE]
    return float((opened[1:] - closed[: len(opened) - 1]).sum())


def _mean(came: Sequence[Came], name: str) -> float:
    return float(np.mean([getattr(c, name) for c in came]))


def _deviation(predicted: float, came: Sequence[Came], name: str) -> float:
    return predicted / _mean(came, name) - 1.0


def summary(results: dict[str, list[Comparison]]) -> str:
    """How far predictions and deliveries are apart, section by section."""
    rows = []
    for section, found in results.items():
        for name, what in (("treatment_s", "treatment time"), ("beam_on_s", "beam-on time")):
            means = np.array([c.deviation(name) for c in found])
            single = np.concatenate([c.deviations(name) for c in found])
            rows += [
                _verdict(f"{section}: {what}, mean of the seeds", means, "fields"),
                _verdict(f"{section}: {what}, every delivery", single, "deliveries"),
            ]
    return table(("What", "within 3 %", "largest deviation", "verdict"), rows)


def _verdict(what: str, deviations: Floats, things: str) -> tuple[str, ...]:
    inside = np.abs(deviations) <= TOLERANCE
    return (
        what,
        Figure(f"{inside.sum()} of {len(inside)} {things}", inside.sum()),
        percent(float(deviations[np.argmax(np.abs(deviations))]), 2, sign=True),
        judge(float(np.abs(deviations).max()), Limits(high=TOLERANCE)),
    )


def draw(path: Path) -> None:
    """Draw a slice that takes two spills, and the expected number of spills against the beam of a slice."""
    accelerator = synchrotron_of(line_of("cnao-h"))
    cycle_s, length_s = accelerator.cycle_period_s, accelerator.spill_length_s
    rise_s, fall_s = accelerator.spill_rise_s, accelerator.spill_fall_s
    with mpl.rc_context(pictures.STYLE):
        drawing = Drawing(figsize=(7.2, 2.9), layout="constrained")
        left, right = drawing.subplots(1, 2)
        spill_s, height = np.array([0.0, rise_s, length_s - fall_s, length_s]), np.array([0.0, 1.0, 1.0, 0.0])
        left.fill_between(cycle_s + spill_s, height, color=pictures.COLOURS[0], alpha=0.8, lw=0)
        left.fill_between(2 * cycle_s + spill_s, height, color="#cccccc", lw=0)
        last_s = 2 * cycle_s + np.array([0.0, rise_s, 0.6])
        left.fill_between(last_s, [0.0, 1.0, 1.0], color=pictures.COLOURS[0], alpha=0.8, lw=0)
        left.axvspan(2 * cycle_s + 0.25, 2 * cycle_s + 0.33, color="white")
        for first_s, past_s, word in ((0.0, cycle_s, "gap"), (cycle_s + length_s, 2 * cycle_s, "gap")):
            left.annotate(
                "", (first_s, 0.5), (past_s, 0.5), arrowprops={"arrowstyle": "<->", "color": "#555555"}
            )
            left.text((first_s + past_s) / 2, 0.54, word, ha="center", color="#555555")
        left.text(cycle_s + length_s / 2, 1.04, "beam on", ha="center", color=pictures.COLOURS[0])
        left.text(2 * cycle_s + 0.3, 1.04, "jump (too wide)", ha="center", color="#555555")
        left.set_xlim(0.0, 2 * cycle_s + length_s + 0.4)
        left.set_ylim(0.0, 1.2)
        left.grid(visible=False)
        left.set_xlabel("time from the start of the field (s)")
        left.set_ylabel("intensity of the spill")
        needed = np.linspace(0.02, 4.0, 400)
        for colour, spread in zip(pictures.COLOURS, (0.0, accelerator.spill_charge_spread), strict=False):
            spills = expected_spills(needed, spread)
            right.plot(needed, spills, color=colour, lw=1.2, label=f"spread {100 * spread:g} %")
        right.set_xlabel("beam that a slice needs (full spills)")
        right.set_ylabel("expected spills")
        right.legend(loc="upper left")
        pictures.save(drawing, path)


def synchrotron_of(line: spotline.BeamLine) -> Synchrotron:
    """The accelerator of a line that has a synchrotron."""
    accelerator = line.facts.accelerator
    assert isinstance(accelerator, Synchrotron)
    return accelerator


def expected_spills(needed: Floats, spread: float) -> list[float]:
    """Expected numbers of spills of `cnao-h` for a spot that needs the beam of so many full spills."""
    line = with_facts(line_of("cnao-h"), {"accelerator.spill_charge_spread": spread})
    accelerator = synchrotron_of(line)
    capacity_s = accelerator.spill_length_s - (accelerator.spill_rise_s + accelerator.spill_fall_s) / 2.0
    (field,) = treatment_of(Job(Square("carbon", 221.45, 1, 2.0, 1e6))).fields
    (slice_,) = field.slices
    particles = needed * capacity_s * slice_.particles_per_s
    fields = (replace(field, slices=(replace(slice_, particles=np.array([p])),)) for p in particles)
    return [predict_duration(f, line).total.spills for f in fields]


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that are asked for, and print or write the page."""
    asked = _parser().parse_args(arguments)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(asked.seeds, Path(folder))
        sections = [part for name in asked.only or CHECKS for part in CHECKS[name](runner)]
    parts = page(sections, runner, time.perf_counter() - start)
    if asked.write is not None:
        draw(IMAGES / PICTURE)
    put_page(parts, asked.write)
    return 0


def page(sections: Sequence[str], runner: Runner, wall_s: float) -> list[str]:
    """Put the page together."""
    return [
        "# Verification of the predicted delivery time",
        fill(
            f"""What `spotline.treatment.duration` predicts before a delivery
            ([how](../explanation/delivery-time.md)), held against the same field delivered in the simulated
            room with the control law in the loop. `python -m verification.durations --write
            docs/reference/verification-durations.md` makes this page in {max(1, round(wall_s / 60))} min.
            Made on {circumstances()}."""
        ),
        fill(
            """Plans of other planning systems are not part of the repository. The line `trip` is
            that of `tests/lines`: made for these plans from published figures and assumptions. Treatment
            time runs from the start of a field to the end of its last spill, the wait for the first spill
            included; beam-on time is that for which the chopper is commanded open. That the rings of the
            beam line scatter by as much as those of the simulation is part of what is assumed."""
        ),
        "## Summary",
        summary(runner.results),
        *sections,
    ]


def _parser() -> argparse.ArgumentParser:
    parser = page_parser("python -m verification.durations", __doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(CHECKS), help="a section; may be repeated")
    parser.add_argument("--seeds", type=int, default=3, help="deliveries of each field (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
