"""The verbs of ``spotline physics``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spotline.faces import cli
from spotline.physics.ions import CARBON, PROTON
from spotline.physics.materials import CORTICAL_BONE, WATER
from spotline.physics.stopping import RangeEnergy, mass_stopping_power_MeV_cm2_per_g
from spotline.physics.straggling import range_straggling_g_cm2


def run(arguments: str) -> int:
    return cli.run(["physics", *arguments.split()])


def test_stopping_as_json(capsys: pytest.CaptureFixture):
    assert run("stopping --ion C --energy 279.97 100 --json") == 0
    shown = json.loads(capsys.readouterr().out)
    rows = shown.pop("rows")
    assert shown == {"ion": "12C", "material": "water", "density_g_cm3": 1.0, "mean_excitation_eV": 77.5}
    assert [row["energy_MeV_u"] for row in rows] == [279.97, 100.0]
    expected = mass_stopping_power_MeV_cm2_per_g(CARBON, [279.97, 100.0], WATER)
    assert [row["stopping_MeV_cm2_per_g"] for row in rows] == expected.tolist()
    assert rows[0]["let_keV_um"] == pytest.approx(0.1 * expected[0], rel=1e-12)


def test_range_and_back(capsys: pytest.CaptureFixture):
    assert run("range --ion proton --energy 150 --json") == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["range_mm"] == float(RangeEnergy(PROTON, WATER).range_mm(150.0))
    sigma = float(range_straggling_g_cm2(PROTON, 150.0, WATER))
    assert row["straggling_mm"] == pytest.approx(10.0 * sigma, rel=1e-12)
    assert run(f"range --ion proton --range-mm {row['range_mm']} --json") == 0
    (back,) = json.loads(capsys.readouterr().out)["rows"]
    assert back["energy_MeV_u"] == pytest.approx(150.0, rel=1e-6)


def test_other_matter(capsys: pytest.CaptureFixture):
    assert run("range --ion C --energy 200 --material Cortical-Bone --excitation 110 --json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["material"], shown["mean_excitation_eV"]) == ("cortical bone", 110.0)
    expected = RangeEnergy(CARBON, CORTICAL_BONE, 110.0).range_mm(200.0)
    np.testing.assert_allclose(shown["rows"][0]["range_mm"], expected)


def test_table(capsys: pytest.CaptureFixture):
    assert run("range --ion p --energy 62.73 228.57") == 0
    title, heads, *rows = capsys.readouterr().out.splitlines()
    assert title == "1H in water (1 g/cm3, I = 77 eV)"
    assert heads.split() == ["energy_MeV_u", "range_g_cm2", "range_mm", "straggling_mm"]
    assert [row.split()[0] for row in rows] == ["62.73", "228.57"]
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("stopping --ion muon --energy 100", "there is no ion 'muon'; use one of proton, helium"),
        ("stopping --ion C --energy 100 --material ice", "there is no material 'ice'; use water"),
        ("stopping --ion C --energy 700", "outside 0.1..600 MeV/u"),
        ("stopping --ion C --energy 100 --excitation 0", "--excitation is 0"),
        ("range --ion C", "--energy (or --range-mm) is missing"),
        (
            "range --ion C --energy 0.01",
            "0.01 is out of reach for carbon in water: use energies of 0.1 to 600",
        ),
        ("range --ion C --range-mm 900", "900 is out of reach"),
        ("range --ion C --energy nan", "nan is out of reach"),
        ("range --ion C --energy 100 --range-mm 30", "give one of them"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: str, what: str, capsys: pytest.CaptureFixture):
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("spotline: ")
    assert said.err.count("\n") == 1
    assert what in said.err
