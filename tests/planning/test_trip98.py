"""TRiP98 raster scan files: a good one, one of every fault, and files cut anywhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotline.errors import PlanError
from spotline.physics.ions import CARBON
from spotline.planning.trip98 import read_rst

GOOD = """\
rstfile 20030630
sistable 19981218
patient_id tst003
machine# 0
projectile 12C
charge 6
mass 12
gantryangle 10
couchangle -90
stereotacticcoordinates
bolus 0
ripplefilter 3 mm RIFI
#submachines 2
#particles 10000 40000.5 100001
submachine# 91 229.76 2 3.7
#particles 10000 30000 60000
stepsize 2 2
#points 3
2 -26 10000
0 -26 20000
-2.5 -26 30000
submachine# 94 233.42 1 3.6
#particles 40000.5 40000.5 40000.5
stepsize 2 2
#points 1
0 4 40000.5
"""


def read(text: str, folder: Path):
    path = folder / "plan.rst"
    path.write_text(text, encoding="utf-8")
    return read_rst(path)


def test_good_file(tmp_path: Path):
    plan = read(GOOD, tmp_path)
    assert plan.format == "TRiP98 raster scan file"
    assert plan.label == "plan"
    assert plan.identity["PatientID"] == "tst003"
    (field,) = plan.fields
    assert field.ion == CARBON
    assert (field.number, field.unit) == (1, "NP")
    assert (field.n_spots, field.meterset) == (4, 100000.5)
    assert [(e.kind, e.id) for e in field.passive] == [("range_modulator", "3 mm RIFI")]
    first, second = field.layers
    assert (first.energy_MeV_u, first.fwhm_x_mm, first.fwhm_y_mm) == (229.76, 3.7, 3.7)
    np.testing.assert_array_equal(first.x_iso_mm, [2.0, 0.0, -2.5])
    np.testing.assert_array_equal(first.y_iso_mm, [-26.0] * 3)
    np.testing.assert_array_equal(first.meterset, [1e4, 2e4, 3e4])
    assert (second.index, second.control_point, second.n_spots) == (1, 1, 1)


def test_angles_are_kept_out_of_the_iec_ones(tmp_path: Path):
    plan = read(GOOD, tmp_path)
    assert plan.fields[0].gantry_angle_deg is None
    assert plan.fields[0].patient_support_angle_deg is None
    assert plan.identity["TRiP98GantryAngle"] == "10"
    assert plan.identity["TRiP98CouchAngle"] == "-90"


def test_bolus_and_no_ripple_filter(tmp_path: Path):
    text = GOOD.replace("bolus 0", "bolus 12.5").replace("ripplefilter 3 mm RIFI", "ripplefilter")
    (bolus,) = read(text, tmp_path).fields[0].passive
    assert (bolus.kind, bolus.wet_mm) == ("bolus", 12.5)


def test_points_without_particles_are_left_out_and_counted(tmp_path: Path):
    text = GOOD.replace("2 -26 10000\n", "2 -26 0\n").replace(
        "#particles 10000 30000 60000", "#particles 0 30000 50000"
    )
    layers = read(text.replace("10000 40000.5 100001", "0 40000.5 90000.5"), tmp_path).fields[0].layers
    assert layers[0].spot_index is not None
    assert layers[0].spot_index.tolist() == [1, 2]
    assert layers[1].spot_index is None


EMPTY = """\
#submachines 1
#particles 0 0 0
submachine# 1 100 1 4
#particles 0 0 0
#points 1
0 0 0
"""

FAULTS = {
    "first word": ("rstfile 20030630", "rastfile 20030630", "first word is not rstfile"),
    "unknown keyword": ("machine# 0", "machine# 0\nsteering 4", "line 5: 'steering' is no keyword"),
    "keyword twice": ("mass 12", "mass 12\nmass 12", "line 8: mass is stated twice"),
    "no charge": ("charge 6\n", "", "charge is missing"),
    "empty charge": ("charge 6", "charge", "charge is missing"),
    "charge in words": ("charge 6", "charge six", "line 6: charge is 'six', which is no number"),
    "half a charge": ("charge 6", "charge 6.5", "charge is 6.5; it must be a whole number"),
    "unknown ion": ("mass 12", "mass 13", "charge 6 and mass 13 are no ion"),
    "other projectile": ("projectile 12C", "projectile 1H", "line 5: projectile is '1H' but"),
    "bolus in words": ("bolus 0", "bolus thick", "line 11: bolus is 'thick'"),
    "negative bolus": ("bolus 0", "bolus -3", "bolus is -3 mm"),
    "no submachines": ("#submachines 2", "#submachines 0", "#submachines is 0"),
    "more submachines": ("#submachines 2", "#submachines 3", "ends where submachine 2 of 3"),
    "fewer submachines": ("#submachines 2", "#submachines 1", "line 22: 'submachine#' follows after all 1"),
    "total sum": (
        "#particles 10000 40000.5 100001",
        "#particles 10000 40000.5 100100",
        "line 14: #particles states sum",
    ),
    "total min": ("#particles 10000 40000.5 100001", "#particles 9000 40000.5 100001", "states min 9000"),
    "layer sum": (
        "#particles 10000 30000 60000",
        "#particles 10000 30000 70000",
        "states sum 70000 but the points of submachine 0",
    ),
    "layer max": ("#particles 10000 30000 60000", "#particles 10000 31000 60000", "states max 31000"),
    "two sums": (
        "#particles 10000 30000 60000",
        "#particles 10000 30000",
        "line 16: #particles has 2 values",
    ),
    "no sums": ("#particles 10000 30000 60000\n", "", "submachine 0: #particles is missing"),
    "sum in words": ("#particles 10000 30000 60000", "#particles a b c", "line 16: #particles is 'a'"),
    "energy": ("91 229.76 2", "91 0 2", "line 15, submachine 0: energy is 0"),
    "energy that is none": ("91 229.76 2", "91 nan 2", "submachine 0: energy is nan"),
    "focus": ("229.76 2 3.7", "229.76 2 -3.7", "focus is -3.7"),
    "short submachine": (
        "91 229.76 2 3.7",
        "91 229.76 2",
        "line 15: expected 'submachine# index energy step focus'",
    ),
    "step size": ("stepsize 2 2\n#points 3", "stepsize 2\n#points 3", "line 17: stepsize has 1 values"),
    "step size zero": ("stepsize 2 2\n#points 3", "stepsize 0 2\n#points 3", "stepsize is 0"),
    "no points": ("#points 1\n0 4 40000.5", "#points 0", "#points is 0"),
    "fewer points": ("#points 3", "#points 2", "#particles states max"),
    "more points": ("#points 3", "#points 4", "expected 'x y particles' for point 3 of 4"),
    "points unstated": ("#points 3\n", "", "expected #particles, stepsize and #points once each"),
    "two coordinates": ("0 -26 20000", "0 -26", "line 20: expected 'x y particles' for point 1 of 3"),
    "position in words": ("0 -26 20000", "0 left 20000", "line 20: y is 'left'"),
    "infinite position": ("0 -26 20000", "inf -26 20000", "line 20: x is inf"),
    "negative particles": ("0 -26 20000", "0 -26 -20000", "line 20: particles is -20000"),
    "no particles at all": (GOOD[GOOD.index("#submachines") :], EMPTY, "no spot has any particles"),
    "stray text": ("0 4 40000.5\n", "0 4 40000.5\nthe end\n", "'the' follows after all 2 submachines"),
    "no text": ("tst003", "tst\x00003", "line 3 has the character '\\x00', so this is no text"),
    "digits of another script": (
        "mass 12",
        "mass \u0661\u0662",
        "line 7: mass is '\u0661\u0662', which is no number",
    ),
    "first submachine missing": (
        "submachine# 91 229.76 2 3.7\n",
        "",
        "line 15: #particles belongs to a submachine, but no line 'submachine# index energy step focus'",
    ),
    "first submachine and its sums missing": (
        "submachine# 91 229.76 2 3.7\n#particles 10000 30000 60000\n",
        "",
        "line 15: stepsize belongs to a submachine",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault: str, tmp_path: Path):
    old, new, message = FAULTS[fault]
    assert GOOD.count(old) >= 1
    with pytest.raises(PlanError, match=re.escape(message)) as caught:
        read(GOOD.replace(old, new, 1), tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "plan.rst"))
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path):
    with pytest.raises(PlanError, match=r"no\.rst: cannot be read"):
        read_rst(tmp_path / "no.rst")


anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@anywhere
@given(length=st.integers(0, len(GOOD) - len("40000.5\n")))
def test_truncated_files_are_refused(length: int, tmp_path: Path):
    with pytest.raises(PlanError):
        read(GOOD[:length], tmp_path)


@anywhere
@given(data=st.data())
def test_altered_bytes_never_crash(data: st.DataObject, tmp_path: Path):
    content = bytearray(GOOD.encode())
    change = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for position, byte in data.draw(st.lists(change, min_size=1, max_size=4)):
        content[position] = byte
    path = tmp_path / "plan.rst"
    path.write_bytes(bytes(content))
    try:
        plan = read_rst(path)
    except PlanError:
        return
    assert plan.fields[0].n_spots > 0


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_need_not_be_ascii(encoding: str, tmp_path: Path):
    path = tmp_path / "plan.rst"
    path.write_bytes(GOOD.replace("tst003", "Müller").encode(encoding))
    assert read_rst(path).identity["PatientID"] == "Müller"


@pytest.mark.parametrize("name", ["C", "c", "12C", "C12", "carbon"])
def test_ways_to_name_a_projectile(name: str, tmp_path: Path):
    assert read(GOOD.replace("projectile 12C", f"projectile {name}"), tmp_path).fields[0].ion.name == "carbon"
