"""Beams that are not what they are called: their columns, their library, and a library that is of others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from spotline import load_beamline, write_beamline
from spotline.errors import BeamLineError, OptionError
from spotline.machine import BeamLine
from spotline.machine.beams import beam_faults, spread_in_words
from spotline.machine.library import BeamLibrary, load_library, write_library
from spotline.machine.library.build import Origin, Run, build_library, energy_sigma
from spotline.machine.library.grid import range_sigma_mm
from spotline.machine.problems import check_beamline
from spotline.machine.real_beams import differs_from_names, real_beam
from spotline.physics.ions import PROTON
from spotline.tables import EnergyTable, read_energy_table

ORIGIN = Origin(datetime(2026, 1, 2, tzinfo=UTC), "spotline ...")
TEXT = """\
energy_MeV_u,range_mm,particles_per_count,beam_MeV_u,beam_sigma_MeV_u
60,28,7000,61,1.2
80,50,9000,80.5,0.8
100,75,11000,100,0.5
"""


def line_of(text: str, **changes: object) -> BeamLine:
    """The line cnao-v with a small table of protons."""
    table = read_energy_table("table", text.encode())
    values = {"ions.proton.energies": table, "ions.proton.energy_selection": "continuous"}
    optics = load_beamline("cnao-v").optics["proton", "standard", 0]
    sizes = type(optics)(np.array([60.0, 100.0]), *(np.array([30.0, 20.0]) for _ in range(4)))
    values["ions.proton.optics[0].table"] = sizes
    return load_beamline("cnao-v").changed(values | changes, source="a test")


LINE = line_of(TEXT)


def library_of(line: BeamLine, **given: object) -> BeamLibrary:
    return build_library(line, "proton", origin=ORIGIN, primaries=40, run=Run(1), **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def library() -> BeamLibrary:
    return library_of(LINE)


# Columns


def test_columns_are_optional():
    table = load_beamline("cnao-v").energies["proton"]
    assert (table.beam_MeV_u, table.beam_sigma_MeV_u) == (None, None)
    assert EnergyTable(*(np.ones(1) for _ in range(3)), None).beam_MeV_u is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("80,50,9000,80.5", "80,50,9000,60.5", "column beam_MeV_u: 60.5 does not lie above 61"),
        ("61,1.2", "61,0", "column beam_sigma_MeV_u: 0 is not above 0"),
        ("61,1.2", "-61,1.2", "column beam_MeV_u: -61 is not above 0"),
        ("beam_MeV_u", "beam_MeV", "column 'beam_MeV' is not known; did you mean 'beam_MeV_u'"),
    ],
)
def test_columns_that_cannot_be(old: str, new: str, message: str):
    with pytest.raises(BeamLineError, match=message):
        read_energy_table("table", TEXT.replace(old, new, 1).encode())


def test_they_are_written_and_read_back(tmp_path: Path):
    again = write_beamline(LINE, tmp_path / "line").energies["proton"]
    assert again.beam_MeV_u is not None
    np.testing.assert_array_equal(again.beam_MeV_u, [61.0, 80.5, 100.0])


# Real beams


def test_between_rows():
    assert real_beam(LINE, "proton", 80.0) == (80.5, 0.8 / 80.5)
    assert 61.0 < real_beam(LINE, "proton", 70.0).energy_MeV_u < 80.5
    assert np.isnan(real_beam(LINE, "proton", 120.0).energy_MeV_u)
    with pytest.raises(KeyError):
        real_beam(LINE, "helium", 100.0)


def test_beam_that_is_what_it_is_called_has_the_spread_of_its_ion():
    line = load_beamline("cnao-v")
    real = real_beam(line, "proton", 100.0)
    assert real.energy_MeV_u == 100.0
    assert real.sigma_relative == pytest.approx(energy_sigma(PROTON, 100.0, 0.15))
    assert not differs_from_names(line, "proton")


def test_one_column_alone():
    """The mean has the spread of the ion; and a spread may come without another mean."""
    mean = line_of("\n".join(row.rpartition(",")[0] for row in TEXT.splitlines()))
    real = real_beam(mean, "proton", 60.0)
    assert real == (61.0, pytest.approx(energy_sigma(PROTON, 61.0, 0.15)))
    assert differs_from_names(mean, "proton")


# Library


def test_library_has_real_beams_under_their_names(library: BeamLibrary):
    np.testing.assert_array_equal(library.energy_MeV_u, [60.0, 80.0, 100.0])
    assert library.facts.beamline == "cnao-v"
    for energy, mean, sigma in ((60.0, 61.0, 1.2), (80.0, 80.5, 0.8), (100.0, 100.0, 0.5)):
        entry = library.entry(energy)
        assert entry.sigma_mm == pytest.approx(range_sigma_mm(PROTON, mean, sigma / mean))
    plain = build_library(
        load_beamline("cnao-v"),
        "proton",
        origin=ORIGIN,
        energies_MeV_u=[61.0, 80.5],
        primaries=40,
        run=Run(1),
    )
    assert library.entry(60.0).range_mm == plain.entry(61.0).range_mm


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"energies_MeV_u": [60.0]}, "1 make no library; give at least two"),
        ({"energies_MeV_u": [50.0, 60.0]}, "says what its beams are from 60 to 100 MeV/u"),
        ({"primaries": 3}, "primaries: 3 are too few"),
        ({"run": Run(0)}, "threads: 0 do no work"),
    ],
)
def test_what_makes_no_library(given: dict[str, object], message: str):
    with pytest.raises(OptionError, match=message):
        build_library(LINE, "proton", **({"origin": ORIGIN, "primaries": 40} | given))  # type: ignore[arg-type]


def test_progress():
    told: list[tuple[int, int, float]] = []
    run = Run(1, lambda done, total, share: told.append((done, total, share)))
    build_library(LINE, "proton", origin=ORIGIN, energies_MeV_u=[60.0, 100.0], primaries=40, run=run)
    assert {(done, total) for done, total, _ in told} == {(0, 2), (1, 2)}


# A library that is of other beams


def test_library_of_these_beams_is_fine(library: BeamLibrary):
    assert list(beam_faults(library, LINE, "proton")) == []
    assert list(beam_faults(library, load_beamline("cnao-v"), "proton")) == [], "of which nothing is said"


@pytest.mark.parametrize(("old", "new"), [("61,1.2", "61.5,1.2"), ("100,0.5", "100,0.9")])
def test_library_of_other_beams(old: str, new: str, library: BeamLibrary):
    (fault,) = beam_faults(library, line_of(TEXT.replace(old, new)), "proton")
    assert "build it anew for cnao-v with `spotline library build`" in fault


def test_check_tells_of_it(tmp_path: Path, library: BeamLibrary):
    line = line_of(TEXT, **{"ions.proton.library": "own.h5"})
    folder = tmp_path / "line"
    write_beamline(line, folder)
    write_library(library, folder / "own.h5")
    assert check_beamline(folder) == []
    table = folder / "proton_energies.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("61,1.2", "62,1.2"), encoding="utf-8")
    (problem,) = check_beamline(folder)
    assert "its beam of 60 MeV/u has a range of" in problem


def test_spread_in_words(library: BeamLibrary):
    assert spread_in_words(LINE, library) == "0.62 to 2.39 % (FWHM)"
    line = load_beamline("cnao-v")
    assert spread_in_words(line, load_library(line, "proton")) == "0.15 % (FWHM)"
