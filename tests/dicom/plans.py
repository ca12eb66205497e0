"""Layers by hand, and plans with something changed."""

from __future__ import annotations

import dataclasses

import numpy as np

from spotline.plan import Layer, Plan


def layer(index: int, energy_MeV_u: float, n_spots: int, **more: object) -> Layer:
    spots = np.arange(n_spots, dtype=np.float64)
    return Layer(
        index=index,
        energy_MeV_u=energy_MeV_u,
        x_iso_mm=2.0 * spots - 3.0,
        y_iso_mm=1.5 - spots,
        meterset=5e4 + 1000.0 * spots,
        control_point=2 * index,
        **more,  # type: ignore[arg-type]
    )


def with_field(plan: Plan, **changes: object) -> Plan:
    """A plan with something else in its first field."""
    field = dataclasses.replace(plan.fields[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(plan, fields=(field, *plan.fields[1:]))


def with_layer(plan: Plan, **changes: object) -> Plan:
    """A plan with something else in the first layer of its first field."""
    first, *others = plan.fields[0].layers
    return with_field(plan, layers=(dataclasses.replace(first, **changes), *others))  # type: ignore[arg-type]
