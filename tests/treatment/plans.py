"""Plans made of a few numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spotline.physics.ions import CARBON, PROTON, Ion
from spotline.plan import Field, Layer, Plan

CARBON_MeV_u = (221.45, 218.92, 216.37)
"""Three energies of carbon in the list of the CNAO lines, 2 mm of water apart."""
PROTON_MeV = (150.43, 149.33, 148.22)
"""The same of protons."""


def layer(
    x_mm: Any = (0.0,),
    y_mm: Any = (0.0,),
    meterset: Any = 5e4,
    *,
    index: int = 0,
    energy_MeV_u: float = CARBON_MeV_u[0],
    **more: Any,
) -> Layer:
    """A layer; by default one carbon spot on the axis of the beam."""
    x_mm, y_mm, meterset = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, float)) for v in (x_mm, y_mm, meterset))
    )
    return Layer(
        index=index,
        energy_MeV_u=energy_MeV_u,
        x_iso_mm=x_mm.copy(),
        y_iso_mm=y_mm.copy(),
        meterset=meterset.copy(),
        control_point=2 * index,
        **more,
    )


def square(side: int, spacing_mm: float, meterset: float, **more: Any) -> Layer:
    """A square of equal spots, scanned there and back."""
    axis_mm = (np.arange(side) - (side - 1) / 2) * spacing_mm
    x_mm, y_mm = np.meshgrid(axis_mm, axis_mm)
    x_mm[1::2] = x_mm[1::2, ::-1]
    return layer(x_mm.ravel(), y_mm.ravel(), meterset, **more)


def field(*layers: Layer, number: int = 1, ion: Ion = CARBON, **more: Any) -> Field:
    """A field for the horizontal line; by default one layer of one carbon spot, in particles."""
    facts: dict[str, Any] = {
        "name": f"Field {number}",
        "unit": "NP",
        "gantry_angle_deg": 90.0,
        "patient_support_angle_deg": 0.0,
        "isocentre_mm": (0.0, 0.0, 0.0),
        "machine": "cnao-h",
        **more,
    }
    return Field(number=number, ion=ion, layers=layers or (layer(),), **facts)


def proton_field(*layers: Layer, **more: Any) -> Field:
    return field(*layers, ion=PROTON, **more)


def plan_of(*fields: Field) -> Plan:
    """A plan as if it had been read."""
    return Plan(
        label="SMALL",
        fields=fields,
        path=Path("small.dcm"),
        sha256="5" * 64,
        format="DICOM RT Ion Plan",
        identity={"PatientID": "NOBODY"},
    )
