"""A beam line must not have more than its cycle-codes can ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.machine import check, load_beamline
from spotline.treatment import cycle_code
from tests.lines.edit import edit
from tests.machine.refused import refusal_of


def test_limits_are_those_of_the_cycle_codes():
    assert check.CYCLE_CODE_STEP_MeV_u * cycle_code.ENERGY_STEPS_PER_MEV_U == 1.0
    largest = check.CYCLE_CODE_CHOICES - 1
    cycle_code.encode(cycle_code.Cycle(6, 100.0, largest, largest, 1))
    for choice in ((largest + 1, 0), (0, largest + 1)):
        with pytest.raises(ValueError, match="needs more than 4 bits"):
            cycle_code.encode(cycle_code.Cycle(6, 100.0, *choice, 1))


def test_foci_must_fit_into_a_cycle_code(toml: Path):
    text = toml.read_text(encoding="utf-8")
    row = '    { focus = "large", range_modulators = 0, table = "carbon_optics_large_0.csv" },'
    assert text.count(row) == 1
    for number, refused in ((15, False), (16, True)):
        rows = "\n".join(row.replace("large", f"focus{k}", 1) for k in range(number))
        toml.write_text(text.replace(row, rows), encoding="utf-8")
        if refused:
            assert "ions[1].optics: 17 foci are more than the 16 that a cycle-code" in refusal_of(toml)
        else:
            assert len(load_beamline(toml).foci("carbon")) == 16


def test_intensity_levels_must_fit_into_a_cycle_code(toml: Path):
    levels = [round(1.0 - 0.05 * k, 2) for k in range(17)]
    edit(toml, ("[1.0, 0.5, 0.2, 0.1]", str(levels)))
    assert "accelerator.intensity_levels: 17 are more than the 16 that a cycle-code can" in refusal_of(toml)
    edit(toml, (str(levels), str(levels[:16])))
    assert len(load_beamline(toml).facts.accelerator.intensity_levels) == 16


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "\n115.23,",
            "\n115.234,",
            "the first energy_MeV_u, 115.234, is not a multiple of 0.01, the step in",
        ),
        (
            "\n398.84,",
            "\n398.8412,",
            "the last energy_MeV_u, 398.8412, is not a multiple of 0.01, the step in",
        ),
    ],
)
@pytest.mark.parametrize("selection", ["listed", "continuous"])
def test_ends_must_be_those_of_a_cycle_code(toml: Path, old: str, new: str, message: str, selection: str):
    """Rounded beyond the end of the table there would be no spot size."""
    path = toml.parent / "carbon_energies.csv"
    edit(path, (old, new))
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('"listed"', f'"{selection}"'), encoding="utf-8")
    for table in toml.parent.glob("carbon_optics_*.csv"):
        rows = table.read_text(encoding="utf-8").splitlines()
        table.write_text("\n".join([*rows, rows[-1].replace("398.84", "399")]) + "\n", encoding="utf-8")
    assert f"{path}: {message}" in refusal_of(toml)


def test_neighbouring_energies_must_differ_in_the_cycle_code(toml: Path):
    text = toml.read_text(encoding="utf-8")
    path = toml.parent / "carbon_energies.csv"
    rows = path.read_text(encoding="utf-8")
    row = next(line for line in rows.splitlines() if line.startswith("150.71,"))
    path.write_text(rows.replace(row, row.replace("150.71,50,", "150.706,49.99,") + f"\n{row}"), "utf-8")
    tight = text.replace("energy_tolerance_MeV_u = 0.15", "energy_tolerance_MeV_u = 0.001")
    toml.write_text(tight, encoding="utf-8")
    found = refusal_of(toml)
    assert f"{path}: energy_MeV_u 150.706 and 150.71 are the same in steps of 0.01" in found
    toml.write_text(tight.replace('"listed"', '"continuous"'), encoding="utf-8")
    assert len(load_beamline(toml).energies["carbon"].energy_MeV_u) == 122
