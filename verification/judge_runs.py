"""Runs of campaigns, judged twice: by the campaign, and by `verification.judge`.

Both deliver for themselves, from the same seeds; what is compared are the verdicts and the figures.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import spotline
from spotline.campaign.invariants import FAILURE, names_of
from spotline.campaign.one import RESUMES, run_one
from spotline.campaign.row import Row
from spotline.campaign.setting import Setting, draw_run
from spotline.delivery.resume import resume
from spotline.delivery.run import deliver
from spotline.machine.true_line import true_line_of
from spotline.measurement import Limits
from spotline.sim.disk import FaultyDisk, SimulatedDisk
from spotline.sim.faults import KINDS, SimulatedCrash
from verification.figures import Figure, figure, power, table
from verification.judge import Judgement, STEP_us, Witnesses, judge
from verification.page import circumstances, fill, page_parser, put_page, say
from verification.runs import EXAMPLES

PLAN, SEED = "two_layers_carbon.dcm", 77
SAME = 1e-9
"""Bounds, worked out twice, may differ by so much of themselves."""

Found = dict[str, Any]


def judge_run(setting: Setting, number: int) -> Found:
    """Deliver a run again, before witnesses, and judge it."""
    drawn = draw_run(setting, number)
    line = true_line_of(setting.treatment.beamline)
    treatment = setting.treatment.fields[drawn.field]
    fails = any(fault.kind == "power.loss" for fault in drawn.faults)
    disk = SimulatedDisk(np.random.default_rng((setting.seed, number, 1))) if fails else FaultyDisk()
    struck = treatment.field.number
    witnesses = Witnesses(line, drawn.delivery_seed, lambda n: drawn.faults if n == struck else (), disk)
    with tempfile.TemporaryDirectory(
        prefix="spotline-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as name:
        folder, record = Path(name) / "delivery", None
        with contextlib.suppress(SimulatedCrash):
            record = deliver(
                setting.treatment,
                folder,
                seed=drawn.delivery_seed,
                make_room=witnesses.room,
                documents=False,
                disk=disk,
                block_us=STEP_us,
            )
        witnesses.repaired = True
        for _ in range(RESUMES):
            if record is not None and record.summary["status"] == "complete":
                break
            record = resume(
                folder,
                operator="judge",
                reason="what had failed is repaired",
                plan=setting.treatment.plan,
                make_room=witnesses.room,
                documents=False,
                block_us=STEP_us,
            )
        assert record is not None
        (outcome,) = (field.outcome for field in record.fields if field.number == struck)
        judged = judge(
            treatment,
            line,
            drawn.faults,
            witnesses.seen(struck),
            folder / f"field-{struck:02d}",
            outcome.status == "complete",
            [row.time_us for row in outcome.interlocks_without_beam],
        )
    return asdict(judged) | {"broken": sorted(judged.broken)}


def compare(row: Row, judged: Found) -> list[str]:
    """Name what campaign and judge do not agree on."""
    found = []
    verdicts = sorted(names_of(row.violations & ~FAILURE))
    if verdicts != judged["broken"]:
        found.append(f"campaign: {verdicts or 'nothing'} violated, judge: {judged['broken'] or 'nothing'}")
    for name, other in (
        ("excess", "excess"),
        ("excess_bound", "bound"),
        ("excess_field", "excess_field"),
        ("excess_field_bound", "bound_field"),
        ("beam_off_us", "beam_off_us"),
        ("beam_off_bound_us", "beam_off_bound_us"),
    ):
        one, two = getattr(row, name), judged[other]
        if (one is None) != (two is None) or (one is not None and abs(one - two) > SAME * abs(one) + 1e-6):
            found.append(f"{name}: campaign {one}, judge {two}")
    if judged["figures_differ"]:
        found.append(judged["figures_differ"])
    return found


def settings_of() -> tuple[Setting, Setting]:
    """Single faults of every kind, and pairs."""
    treatment = spotline.prepare(spotline.read_plan(EXAMPLES / PLAN), spotline.load_beamline("cnao-h"))
    kinds = tuple(KINDS)
    return Setting(treatment, SEED, kinds), Setting(treatment, SEED, kinds, pairs=True)


def main(arguments: list[str], what: str) -> int:
    """Make the runs that are missing, and write the page."""
    parser = page_parser("python -m verification.judge", what)
    parser.add_argument("--runs", type=int, default=300, help="runs: every fourth with two faults")
    parser.add_argument("--out", type=Path, help="file of runs that are made already; it is added to")
    options = parser.parse_args(arguments)
    done = _read(options.out)
    settings = settings_of()
    for number in range(options.runs):
        if number in done:
            continue
        setting = settings[number % 4 == 3]
        row = run_one(setting, number)
        judged = judge_run(setting, number)
        done[number] = {"row": msgspec.structs.asdict(row), "judged": judged, "differ": compare(row, judged)}
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"number": number, **done[number]}) + "\n")
        if done[number]["differ"]:
            say(f"run {number} ({row.fault1} {row.fault2}): {done[number]['differ']}")
        if (number + 1) % 20 == 0:
            say(f"{number + 1} of {options.runs} runs")
    wanted = [done[number] for number in range(options.runs)]
    put_page(page_of(wanted), options.write)
    return 1 if any(one["differ"] for one in wanted) else 0


def _read(path: Path | None) -> dict[int, Found]:
    if path is None or not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {one.pop("number"): one for one in map(json.loads, lines)}


def page_of(runs: list[Found]) -> list[str]:
    """The page: how often both agree, by kind of fault."""
    differ = [(one["row"]["run"], "; ".join(one["differ"])) for one in runs if one["differ"]]
    return [
        "# Verification of the judges",
        fill(
            f"""{len(runs)} runs of campaigns on `examples/{PLAN}` and `cnao-h`, seed {SEED}, every kind of
            fault in turn and every fourth run with two, judged twice. The campaign judges by the room that it
            watches; `verification/judge.py` delivers again in steps of a millisecond, takes particles from
            the plan, counts from the files of the record and ions from the truth of the room, has bounds of
            its own making, and imports neither `spotline.campaign` nor `spotline.control`. It must come to
            the same verdicts, and to the same figures: excess of the worst spot and of the field, time to
            beam off, and the bound of each. {circumstances()}."""
        ),
        table(
            ("Compared", "runs", "of them differ"),
            [
                ("verdicts", len(runs), _none(sum(_verdicts_differ(one) for one in runs))),
                ("verdicts and figures", len(runs), _none(len(differ))),
            ],
        ),
        table(("Run", "what differs"), differ, keys=2) if differ else "",
        "## By kind of fault",
        fill(
            """What the judge found: the most particles too many in a spot, of its bound, and in percent of
            it; the field; the longest time to beam off. Runs with two faults stand with the first."""
        ),
        _kinds(runs),
    ]


def _none(times: int) -> Figure:
    return Figure(str(times), times, tolerance=Limits(high=0.0))


def _verdicts_differ(one: Found) -> bool:
    return any(text.startswith("campaign:") for text in one["differ"])


def _kinds(runs: list[Found]) -> str:
    kinds: dict[str, list[Found]] = {}
    for one in runs:
        kinds.setdefault(one["row"]["fault1"], []).append(one)
    rows = []
    for name, some in sorted(kinds.items()):
        worst = max(some, key=lambda one: one["judged"]["excess"] / one["judged"]["bound"])["judged"]
        field = max(some, key=lambda one: one["judged"]["excess_field"] / one["judged"]["bound_field"])[
            "judged"
        ]
        delays = [one["judged"]["beam_off_us"] for one in some if one["judged"]["beam_off_us"] is not None]
        rows.append(
            (
                f"`{name}`",
                len(some),
                sum(bool(one["judged"]["broken"]) for one in some),
                power(worst["excess"]),
                power(worst["bound"]),
                figure(100.0 * worst["excess"] / worst["bound"], ".0f"),
                power(field["excess_field"]),
                power(field["bound_field"]),
                figure(max(delays), "d") if delays else "-",
                sum(bool(one["differ"]) for one in some),
            )
        )
    heads = ("Fault", "runs", "violated", "spot, too many", "its bound", "part of it (%)", "field, too many",
             "bound of the field", "beam off after (us)", "differ")  # fmt: skip
    return table(heads, rows, keys=1)


__all__ = ["Judgement", "compare", "judge_run", "main"]
