"""Records of deliveries that were stopped anywhere, without a room: what their files would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from spotline import BeamLine, Options, Plan, Record, load_beamline, prepare
from spotline.delivery.opening import field_header
from spotline.hdf5 import keys_of
from spotline.record.assembly import visits_of
from spotline.record.model import INTERLOCK, SLICE, SLOW_CONTROL, SPILL, SPOT, TREND, FieldRecord
from spotline.treatment.counts import convert_counts
from spotline.treatment.treatment import Treatment
from spotline.treatment.treatment_file import write_treatment_file

LINE = load_beamline("cnao-h")
_TABLE = LINE.energies["carbon"]
MU_LINE = replace(
    LINE,
    energies={**LINE.energies, "carbon": replace(_TABLE, particles_per_MU=_TABLE.energy_MeV_u * 1e3)},
)
"""The line with monitor units for carbon."""
REFERENCE = (1.0, 1.0)
Visit = tuple[int, bool]  # counts of INT1, and whether it is complete


def treatment_of(
    plan: Plan, options: Options | None = None, gas: tuple[float, float] = REFERENCE, line: BeamLine = LINE
) -> Treatment:
    """Prepare a plan and convert it for gas of some density in both boxes."""
    treatment = prepare(plan, line, options=options or Options(order="planned"))
    return replace(treatment, fields=tuple(convert_counts(f, gas, line) for f in treatment.fields))


def record_of(treatment: Treatment, visits: Sequence[Sequence[Visit]], folder: Path) -> Record:
    """Record of a delivery that gave each visit of each field, in delivery order, so many counts."""
    fields = []
    for treated, given in zip(treatment.fields, visits, strict=True):
        sub = folder / f"field-{treated.field.number:02d}"
        sub.mkdir(parents=True)
        header = field_header(treatment, treated, 0)
        write_treatment_file(sub, header, treated.slices)
        planned = visits_of(treated.slices)
        counts = np.array([count for count, _ in given])
        complete = np.array([is_complete for _, is_complete in given])
        used = (counts > 0) | complete
        rows = np.zeros(int(used.sum()), SPOT)
        for name in planned.dtype.names or ():
            rows[name] = planned[name][used]
        per_count = np.concatenate([s.particles_per_count1 for s in treated.slices])
        rows["particles"] = counts[used] * per_count[used]
        rows["particles_int2"] = rows["particles"]
        rows["complete"] = complete[used]
        rows["position_valid"] = True
        rows["x_mm"], rows["y_mm"] = rows["x_planned_mm"] + 0.1, rows["y_planned_mm"]
        fields.append(
            FieldRecord(
                path=sub,
                number=treated.field.number,
                name=treated.field.name,
                header={**keys_of(header), "status": "interlock"},
                spots=rows,
                slices=np.zeros(len(treated.slices), SLICE),
                spills=np.zeros(0, SPILL),
                trend=np.zeros(0, TREND),
                interlocks=np.zeros(0, INTERLOCK),
                slow_control=np.zeros(0, SLOW_CONTROL),
                visits=planned,
                truth=None,
            )
        )
    return Record(folder, {}, tuple(fields))


def prescribed(treatment: Treatment) -> list[list[int]]:
    """Prescribed counts of all visits of each field."""
    return [[int(n) for s in field.slices for n in s.int1_counts] for field in treatment.fields]


def everything(treatment: Treatment) -> list[list[Visit]]:
    """Every visit complete."""
    return [[(n, True) for n in counts] for counts in prescribed(treatment)]


def nothing(treatment: Treatment) -> list[list[Visit]]:
    """No visit begun."""
    return [[(0, False) for _ in counts] for counts in prescribed(treatment)]


@st.composite
def some_visits(draw: st.DrawFn, treatment: Treatment) -> list[list[Visit]]:
    """Any subset of the visits delivered, whole, in part, or a few counts beyond."""

    def visit(counts: int) -> Visit:
        match draw(st.integers(0, 3)):
            case 0:
                return 0, False
            case 1:
                return draw(st.integers(0, counts + 3)), False
            case 2:
                return draw(st.integers(max(0, counts - 1), counts + 3)), True
            case _:
                return counts, True

    return [[visit(counts) for counts in of_field] for of_field in prescribed(treatment)]
