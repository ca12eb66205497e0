"""Make the plans in this folder.

    python examples/make_plans.py [folder]

The plans are made of nothing but the numbers below and the energy list of the beam line, so the same
version of Spotline always makes the same bytes.  All but the last are for the horizontal line ``cnao-h``.

``uniform_carbon_60mm.dcm``
    The uniform carbon field with which the dose delivery system of CNAO was tested (Giordanengo et al.,
    Med. Phys. 42 (2015) 263, section IV.C): 30 x 30 spots 2 mm apart with 5e4 ions each, for 60 x 60 mm2.
``three_layers_proton.dcm``
    A small proton field of three neighbouring energies around 150 mm depth: 7 x 7 spots 3 mm apart with
    2e7 protons each, for about 20 x 20 mm2.
``nine_spots_carbon.dcm``
    Nine spots of 2e6 carbon ions across the field at two energies, to check the deflection (Mirandola et
    al., Med. Phys. 42 (2015), doi 10.1118/1.4928397, section 2.A.4).
``axis_proton.dcm``
    A spot of 1e8 protons on the axis at every fifth energy, to check the undeflected beam (section 2.B.3).
``two_layers_carbon.dcm``
    A carbon field for campaigns of faults, quick to deliver although it has a layer of two spills: 8 x 8
    spots 2 mm apart, with 2.2e6 ions each at the higher energy, and with 5e4 to 1.15e6 ions at the lower
    one: spots of a hundred counts and more.
``cube_proton_20mm.dcm``
    A cube of 20 mm with 1 Gy of protons, centred at 80 mm of water, as ``spotline plan cube`` makes it:
    eleven layers of 15 x 15 spots 3 mm apart.  Its particles are optimised, and rounded to fewer digits
    than processors agree in.
``sobp_proton_mu.dcm``
    A spread-out Bragg peak of 30 mm with 2 Gy of protons, centred at 100 mm of water, in monitor units for
    the gantry line ``dcpt-like``, as the plans of clinical planning systems for such a machine are.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import spotline
from spotline.dicom.write_plan import write_ion_plan
from spotline.plan import Plan
from spotline.planning.phantom_plan import Setup
from spotline.planning.qa_fields import line_plan, pattern_plan, uniform_plan


def make_plans() -> dict[str, Plan]:
    """Make all plans, by the names of their files."""
    line = spotline.load_beamline("cnao-h")
    carbon, proton = Setup(ion="carbon", beamline=line), Setup(ion="proton", beamline=line)
    three_layers = Setup(ion="proton", beamline=line, label="THREELAYERS", name="Three layers")
    protons = line.energies["proton"]
    around_150_mm = protons.energy_MeV_u[np.argsort(abs(protons.range_mm - 150.0), kind="stable")[:3]]
    small_field = uniform_plan(three_layers, around_150_mm, size_mm=21.0, particles=2e7)
    return {
        "uniform_carbon_60mm.dcm": uniform_plan(carbon, [221.45], particles=5e4),
        "three_layers_proton.dcm": small_field,
        "nine_spots_carbon.dcm": pattern_plan(carbon, [380.45, 150.71]),
        "axis_proton.dcm": line_plan(proton, every=5),
        "two_layers_carbon.dcm": _two_layers(line),
        "cube_proton_20mm.dcm": spotline.cube_plan(proton, spotline.Cube(size_mm=20.0, depth_mm=80.0))[0],
        "sobp_proton_mu.dcm": _in_monitor_units(),
    }


def _two_layers(line: spotline.BeamLine) -> Plan:
    """Make a layer of strong spots that takes two spills, and one of weak spots."""
    setup = Setup(ion="carbon", beamline=line, label="TWOLAYERS", name="Two layers")
    plan = uniform_plan(setup, [221.45, 150.71], size_mm=16.0, particles=2.2e6)
    (field,) = plan.fields
    strong, weak = field.layers
    weak = replace(weak, meterset=5e4 * np.linspace(1.0, 23.0, weak.n_spots))
    return replace(plan, fields=(replace(field, layers=(strong, weak)),))


def _in_monitor_units() -> Plan:
    """Make a cube for the line with a gantry, and say its spots in monitor units of that line."""
    line = spotline.load_beamline("dcpt-like")
    setup = Setup(ion="proton", beamline=line, gantry_angle_deg=270.0, label="SOBPMU", name="SOBP in MU")
    plan, _ = spotline.cube_plan(
        setup, spotline.Cube(size_mm=30.0, depth_mm=100.0, dose_Gy=2.0, spacing_mm=5.0)
    )
    (field,) = plan.fields
    layers = []
    for layer in field.layers:
        per_MU = line.particles_per_MU("proton", layer.energy_MeV_u)
        assert per_MU is not None
        layers.append(replace(layer, meterset=np.round(layer.meterset / float(per_MU), 3)))
    return replace(plan, fields=(replace(field, unit="MU", layers=tuple(layers)),))


def main(folder: Path) -> None:
    """Write all plans into a folder, in place of those that are there."""
    for name, plan in make_plans().items():
        path = folder / name
        path.unlink(missing_ok=True)
        geometry = spotline.load_beamline(plan.fields[0].machine).facts.geometry
        distances_mm = geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm
        write_ion_plan(plan, path, source_axis_distances_mm=distances_mm)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
