"""Make the plans in this folder.

    python examples/make_plans.py [folder]

The plans are made of nothing but the numbers below and the energy list of the beam line, so the same
version of Spotline always makes the same bytes.  Both are for the horizontal line ``cnao-h``.

``uniform_carbon_60mm.dcm``
    The uniform carbon field with which the dose delivery system of CNAO was tested (Giordanengo et al.,
    Med. Phys. 42 (2015) 263, section IV.C): 30 x 30 spots 2 mm apart with 5e4 ions each, for 60 x 60 mm2.
``three_layers_proton.dcm``
    A small proton field of three neighbouring energies around 150 mm depth: 7 x 7 spots 3 mm apart with
    2e7 protons each, for about 20 x 20 mm2.
"""

from __future__ import annotations

import csv
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

from spotline.dicom.write_plan import write_ion_plan
from spotline.physics.ions import CARBON, PROTON, Ion
from spotline.plan import Field, Layer, Plan

GANTRY_ANGLE_DEG = 90.0  # the horizontal line


def square_layer(
    index: int, energy_MeV_u: float, spots_per_side: int, spacing_mm: float, particles: float, focus: str
) -> Layer:
    """Make a square of equal spots, centred on the axis and scanned row by row, there and back."""
    side_mm = (np.arange(spots_per_side) - (spots_per_side - 1) / 2) * spacing_mm
    x_iso_mm, y_iso_mm = np.meshgrid(side_mm, side_mm)
    x_iso_mm[1::2] = x_iso_mm[1::2, ::-1]
    return Layer(
        index=index,
        energy_MeV_u=energy_MeV_u,
        x_iso_mm=x_iso_mm.ravel(),
        y_iso_mm=y_iso_mm.ravel(),
        meterset=np.full(spots_per_side**2, particles),
        tune_id=focus,
        control_point=2 * index,
    )


def single_field_plan(label: str, name: str, ion: Ion, layers: tuple[Layer, ...]) -> Plan:
    """Make a plan of one field on the water phantom."""
    field = Field(
        number=1,
        name=name,
        ion=ion,
        unit="NP",
        layers=layers,
        gantry_angle_deg=GANTRY_ANGLE_DEG,
        patient_support_angle_deg=0.0,
        isocentre_mm=(0.0, 0.0, 0.0),
        machine="cnao-h",
    )
    identity = {"PatientName": "WATER^PHANTOM", "PatientID": "WATER_PHANTOM", "PlanIntent": "MACHINE_QA"}
    return Plan(
        label=label,
        fields=(field,),
        path=Path(f"{label.lower()}.dcm"),
        sha256="",
        format="DICOM RT Ion Plan",
        identity=identity,
    )


def uniform_carbon_plan() -> Plan:
    """Make the published uniform carbon field."""
    layer = square_layer(0, 221.45, spots_per_side=30, spacing_mm=2.0, particles=5e4, focus="small")
    return single_field_plan("UNIFORM60", "Uniform 60 mm", CARBON, (layer,))


def three_layers_proton_plan() -> Plan:
    """Make the small proton field, from the deepest layer to the shallowest."""
    energies_MeV_u = energies_around(150.0)
    layers = tuple(
        square_layer(index, energy_MeV_u, spots_per_side=7, spacing_mm=3.0, particles=2e7, focus="standard")
        for index, energy_MeV_u in enumerate(sorted(energies_MeV_u, reverse=True))
    )
    return single_field_plan("THREELAYERS", "Three layers", PROTON, layers)


def energies_around(depth_mm: float) -> list[float]:
    """Look up the three neighbouring proton energies of cnao-h with ranges closest to a depth."""
    table = files("spotline") / "beamlines" / "cnao-h" / "proton_energies.csv"
    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    rows.sort(key=lambda row: abs(float(row["range_mm"]) - depth_mm))
    return [float(row["energy_MeV_u"]) for row in rows[:3]]


def main(folder: Path) -> None:
    """Write all plans into a folder, in place of those that are there."""
    for name, plan in (
        ("uniform_carbon_60mm.dcm", uniform_carbon_plan()),
        ("three_layers_proton.dcm", three_layers_proton_plan()),
    ):
        path = folder / name
        path.unlink(missing_ok=True)
        write_ion_plan(plan, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
