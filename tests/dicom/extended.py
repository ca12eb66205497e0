"""Plans with instructions, for the tests of the extended plan."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from spotline.dicom.extended_plan import extended_plan_bytes
from spotline.plan import Field, Instruction, Plan, PreparedFor

AXES_mm = (6200.0, 5500.0)
CODE = "0460005681"
MADE_FOR = PreparedFor("cnao-h", "1", "5b" * 32, "1.2.3.999", "c4" * 32)


def visits(
    field: Field, shares: list[list[float]], order: np.ndarray, cuts: list[int]
) -> tuple[Instruction, ...]:
    """Instructions that visit each spot of a field with these shares, in this order, cut into slices."""
    rows = []
    spots = [(layer.index, spot) for layer in field.layers for spot in range(layer.n_spots)]
    for (layer, spot), parts in zip(spots, shares, strict=True):
        meterset = field.layers[layer].meterset[spot]
        rows += [(layer, spot, n, meterset * part / sum(parts)) for n, part in enumerate(parts)]
    rows = [rows[i] for i in order]
    slices = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        layer, spot, painting, meterset = zip(*rows[start:end], strict=True)
        slices.append(
            Instruction(
                energy_MeV_u=field.layers[layer[0]].energy_MeV_u + 1 / 3,
                focus="small",
                intensity_level=0.1 if start else 1.0,
                layer=np.array(layer),
                spot=np.array(spot),
                painting=np.array(painting),
                meterset=np.array(meterset),
                beam_off=np.arange(start, end) % 3 == 1,
            )
        )
    return tuple(slices)


def plainly(field: Field, paintings: int = 1) -> tuple[Instruction, ...]:
    """Every spot in the order of the plan, a layer and painting to a slice, all layers before the next."""
    shares = [[1.0] * paintings] * field.n_spots
    order = np.arange(field.n_spots * paintings).reshape(-1, paintings).T.ravel()
    ends = np.cumsum([layer.n_spots for layer in field.layers])
    cuts = [int(end) + n * field.n_spots for n in range(paintings) for end in ends]
    return visits(field, shares, order, cuts[:-1])


@st.composite
def any_visits(draw: st.DrawFn, field: Field) -> tuple[Instruction, ...]:
    """Any repainting of a field in any order, cut into slices anywhere."""
    share = st.floats(0.01, 1.0)
    shares = [draw(st.lists(share, min_size=1, max_size=3)) for _ in range(field.n_spots)]
    n = sum(map(len, shares))
    order = np.array(draw(st.permutations(range(n))))
    cuts = sorted(draw(st.sets(st.integers(1, n - 1), max_size=4))) if n > 1 else []
    return visits(field, shares, order, cuts)


def with_instructions(plan: Plan, *instructions: tuple[Instruction, ...]) -> Plan:
    """The plan with instructions in its fields, plain ones if none are given."""
    given = instructions or tuple(plainly(field) for field in plan.fields)
    fields = tuple(
        dataclasses.replace(field, instructions=own) for field, own in zip(plan.fields, given, strict=True)
    )
    return dataclasses.replace(plan, fields=fields, prepared_for=plan.prepared_for or MADE_FOR)


def encoded(plan: Plan) -> bytes:
    """The extended plan as a file, all cycle-codes alike."""
    codes = {field.number: [CODE] * len(field.instructions) for field in plan.fields}
    return extended_plan_bytes(plan, codes, source_axis_distances_mm=AXES_mm)


def dataset_of(content: bytes) -> Dataset:
    """The dataset of a file, to be looked at or broken."""
    return dcmread(BytesIO(content))


def write(dataset: Dataset, path: Path) -> Path:
    """Write a broken dataset."""
    dataset.save_as(path)
    return path


def same_instructions(one: Plan, other: Plan) -> bool:
    """Whether two plans ask for the same delivery, to the last bit."""
    return one.prepared_for == other.prepared_for and all(
        len(a.instructions) == len(b.instructions)
        and all(
            np.array_equal(getattr(x, attribute.name), getattr(y, attribute.name))
            for x, y in zip(a.instructions, b.instructions, strict=True)
            for attribute in dataclasses.fields(Instruction)
        )
        for a, b in zip(one.fields, other.fields, strict=True)
    )


def clinical(plan: Plan) -> list[object]:
    """All that a plan says about what is to be delivered, in a form that can be compared."""
    found: list[object] = [plan.label, plan.fractions_planned, plan.fraction_group]
    for field in plan.fields:
        found += [
            getattr(field, a.name)
            for a in dataclasses.fields(Field)
            if a.name not in ("layers", "instructions")
        ]
        for layer in field.layers:
            for attribute in dataclasses.fields(layer):
                value = getattr(layer, attribute.name)
                found.append(value.tolist() if isinstance(value, np.ndarray) else value)
    return found
