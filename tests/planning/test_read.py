"""The one way in for all formats, and the plans of other planning systems."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spotline import load_beamline, prepare
from spotline.errors import PlanError
from spotline.plan import Plan
from spotline.planning.read import read_plan
from tests.places import EXAMPLES

RST = """\
rstfile 1
projectile 1H
charge 1
mass 1
#submachines 1
#particles 10 10 10
submachine# 1 100 1 4
#particles 10 10 10
#points 1
0 0 10
"""


def test_content_decides_and_not_the_name(tmp_path: Path):
    path = tmp_path / "plan.dcm"
    path.write_text(RST)
    assert read_plan(path).format == "TRiP98 raster scan file"
    path = tmp_path / "plan.rst"
    path.write_bytes((EXAMPLES / "three_layers_proton.dcm").read_bytes())
    assert read_plan(str(path)).format == "DICOM RT Ion Plan"


def test_dicom_without_preamble(tmp_path: Path):
    content = (EXAMPLES / "three_layers_proton.dcm").read_bytes()
    path = tmp_path / "bare"
    path.write_bytes(content[132:])
    assert read_plan(path).fields[0].n_spots == 147
    dataset = content[content.index(b"\x08\x00\x05\x00") :]
    path.write_bytes(dataset)
    assert read_plan(path).fields[0].n_spots == 147


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give a DICOM RT Ion Plan"),
        (b"PK\x03\x04", "unknown format, neither DICOM"),
        (b"rst", "unknown format"),
        (b"\x08\x00", "is not a DICOM file"),
    ],
)
def test_what_is_no_plan(content: bytes, message: str, tmp_path: Path):
    path = tmp_path / "plan"
    path.write_bytes(content)
    with pytest.raises(PlanError, match=message):
        read_plan(path)


def test_missing_file_and_folder(tmp_path: Path):
    with pytest.raises(PlanError, match=r"absent\.dcm: cannot be read .*give a DICOM"):
        read_plan(tmp_path / "absent.dcm")
    with pytest.raises(PlanError, match="is a folder"):
        read_plan(tmp_path)


def test_plans_are_known_without_pydicom():
    program = "import sys, spotline.plan; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_field_by_number(tmp_path: Path):
    path = tmp_path / "plan.rst"
    path.write_text(RST)
    plan = read_plan(path)
    assert plan.field_by_number(1) is plan.fields[0]
    with pytest.raises(PlanError, match="no field has beam number 2; the plan has 1"):
        plan.field_by_number(2)


# The examples that come with Spotline.


@pytest.mark.stored
def test_uniform_carbon_example():
    plan = read_plan(EXAMPLES / "uniform_carbon_60mm.dcm")
    (field,) = plan.fields
    (layer,) = field.layers
    assert (plan.label, plan.identity["PatientName"]) == ("UNIFORM60", "WATER^PHANTOM")
    assert (field.ion.symbol, field.unit, field.gantry_angle_deg) == ("12C", "NP", 90.0)
    assert (layer.energy_MeV_u, layer.n_spots, field.meterset) == (221.45, 900, 4.5e7)
    assert (layer.meterset == 5e4).all()
    np.testing.assert_array_equal(np.unique(layer.x_iso_mm), np.arange(-29.0, 30.0, 2.0))
    steps_mm = np.hypot(np.diff(layer.x_iso_mm), np.diff(layer.y_iso_mm))
    assert (steps_mm == 2.0).all(), "the spots are scanned there and back"


@pytest.mark.stored
def test_three_layers_example():
    (field,) = read_plan(EXAMPLES / "three_layers_proton.dcm").fields
    assert (field.ion.symbol, field.gantry_angle_deg, len(field.layers)) == ("1H", 90.0, 3)
    assert [layer.n_spots for layer in field.layers] == [49] * 3
    assert (np.concatenate([layer.meterset for layer in field.layers]) == 2e7).all()
    assert np.all(np.diff([layer.energy_MeV_u for layer in field.layers]) < 0.0)


@pytest.mark.stored
def test_example_in_monitor_units():
    """As clinical plans are, for a line that has all energies: layers closer than the rows of its table."""
    line = load_beamline("dcpt-like")
    (field,) = read_plan(EXAMPLES / "sobp_proton_mu.dcm").fields
    assert (field.unit, field.machine, field.gantry_angle_deg) == ("MU", "dcpt-like", 270.0)
    energies = [layer.energy_MeV_u for layer in field.layers]
    peaks_mm = line.range_mm("proton", energies)
    assert energies == sorted(energies, reverse=True)
    assert np.diff(peaks_mm) == pytest.approx(-2.0, abs=0.3)
    assert (peaks_mm[0], peaks_mm[-1]) == pytest.approx((115.0, 85.0), abs=1.0)
    (prepared,) = prepare(read_plan(EXAMPLES / "sobp_proton_mu.dcm"), line).fields
    (warning,) = prepared.warnings
    assert "reads no charge of a ring" in warning, "as no cyclotron does"
    per_MU = line.particles_per_MU("proton", energies)
    assert per_MU is not None
    expected = sum(layer.meterset.sum() * k for layer, k in zip(field.layers, per_MU, strict=True))
    assert prepared.particles == pytest.approx(float(expected))


@pytest.mark.stored
def test_examples_are_what_their_script_makes(tmp_path: Path):
    spec = importlib.util.spec_from_file_location("make_plans", EXAMPLES / "make_plans.py")
    assert spec is not None
    assert spec.loader is not None
    make_plans = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_plans)
    make_plans.main(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert [path.name for path in made] == sorted(path.name for path in EXAMPLES.glob("*.dcm"))
    for path in made:
        assert path.read_bytes() == (EXAMPLES / path.name).read_bytes(), "run examples/make_plans.py"


# Real plans: name, ion, unit, fractions, then per field layers, spots, first and last energy, gantry angle.

REAL = [
    ("dcpt/eclipse_sobp_plan.dcm", "1H", "MU", 1, [(21, 6069, 149.419, 83.419, 0.0)]),
    ("dcpt/eclipse_mono160_plan.dcm", "1H", "MU", 1, [(1, 323, 160.0, 160.0, 0.0)]),
    (
        "dcpt/raystation_ramp_full_plan.dcm",
        "1H",
        "MU",
        1,
        [(22, 9218, 149.4, 83.5, 90.0), (22, 9218, 149.4, 83.5, 270.0)],
    ),
    (
        "headphantom/RN.*.dcm",
        "1H",
        "MU",
        5,
        [(24, 659, 186.197, 110.297, 0.0), (19, 624, 156.92, 97.52, 0.0), (19, 624, 154.114, 94.714, 0.0)],
    ),
    ("trip98/tst003012.rst", "12C", "NP", 1, [(17, 13243, 229.76, 283.76, None)]),
    ("trip98/tst003001.rst", "1H", "NP", 1, [(17, 5491, 120.2, 147.99, None)]),
    ("cubes/carbon_cube_15cm_plan.dcm", "12C", "NP", 1, [(30, 19173, 313.91, 250.51, 0.0)]),
    ("cubes/proton_cube_15cm_plan.dcm", "1H", "NP", 1, [(21, 8543, 164.453, 131.586, 0.0)]),
    ("topas_demo_plan.dcm", "1H", "NP", 14, [(12, 246, 155.03, 120.96, 90.0)]),
]


def real_plan(folder: Path, pattern: str) -> Plan:
    (path,) = folder.glob(pattern)
    return read_plan(path)


@pytest.mark.parametrize(("pattern", "ion", "unit", "fractions", "fields"), REAL, ids=lambda v: str(v)[:40])
def test_real_plan(pattern: str, ion: str, unit: str, fractions: int, fields: list, shared_plans: Path):
    plan = real_plan(shared_plans, pattern)
    assert plan.fractions_planned == fractions
    found = []
    for field in plan.fields:
        assert (field.ion.symbol, field.unit) == (ion, unit)
        energies = [layer.energy_MeV_u for layer in field.layers]
        found.append((len(energies), field.n_spots, energies[0], energies[-1], field.gantry_angle_deg))
    assert found == fields


@pytest.mark.parametrize(
    ("pattern", "metersets"),
    [
        ("dcpt/eclipse_sobp_plan.dcm", [41806.7405]),
        ("dcpt/raystation_ramp_full_plan.dcm", [39294.15, 39294.15]),
        ("headphantom/RN.*.dcm", [5199.03, 5532.589989, 4726.129995]),
        ("cubes/carbon_cube_15cm_plan.dcm", [3266741197.0]),
        ("topas_demo_plan.dcm", [2.48879e10]),
        ("trip98/tst003012.rst", [1.97079e9]),
    ],
)
def test_real_metersets(pattern: str, metersets: list[float], shared_plans: Path):
    found = [field.meterset for field in real_plan(shared_plans, pattern).fields]
    np.testing.assert_allclose(found, metersets, rtol=1e-6)


def test_real_devices(shared_plans: Path):
    shifters = [field.passive for field in real_plan(shared_plans, "headphantom/RN.*.dcm").fields]
    assert [[(e.kind, e.id, e.wet_mm) for e in passive] for passive in shifters] == [
        [("range_shifter", "RS_5CM", 57.0)]
    ] * 3
    demo = real_plan(shared_plans, "topas_demo_plan.dcm").fields[0].passive
    assert [(e.kind, e.id, e.type) for e in demo] == [
        ("range_shifter", "40mm", "BINARY"),
        ("block", "apt", "APERTURE"),
    ]
    assert real_plan(shared_plans, "dcpt/eclipse_sobp_plan.dcm").fields[0].passive == ()
    (ripple_filter,) = real_plan(shared_plans, "trip98/tst003012.rst").fields[0].passive
    assert (ripple_filter.kind, ripple_filter.id) == ("range_modulator", "3 mm RIFI")


def test_real_records_are_no_plans(shared_plans: Path):
    records = sorted((shared_plans / "records").glob("*.dcm"))
    assert len(records) == 2
    for path in records:
        with pytest.raises(PlanError, match="RT Ion Beams Treatment Record, which says what was delivered"):
            read_plan(path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("headphantom/CT.HeadPhantom.1.dcm", "CT Image Storage"),
        ("headphantom/RS.*.dcm", "RT Structure Set Storage"),
        ("cubes/carbon_cube_15cm_dose.dcm", "RT Dose Storage"),
        ("trip98/tst003000.hed", "unknown format"),
        ("README.md", "unknown format"),
    ],
)
def test_other_real_files_are_no_plans(pattern: str, message: str, shared_plans: Path):
    with pytest.raises(PlanError, match=message):
        real_plan(shared_plans, pattern)


@pytest.mark.parametrize("name", ["plan.rst.gz", "plan.dcm.gz"])
def test_compressed_plans_are_named_as_such(name: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"rstfile 20030630"))
    with pytest.raises(PlanError) as refused:
        read_plan(path)
    assert str(refused.value) == f"{path}: is compressed (gzip); unpack it first: gunzip -k {name}"
