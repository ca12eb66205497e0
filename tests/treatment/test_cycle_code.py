"""Cycle-codes hold what was put into them, or refuse it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.machine import load_beamline
from spotline.physics.ions import IONS
from spotline.treatment.cycle_code import Cycle, decode, encode, in_words

cycles = st.builds(
    Cycle,
    charge_number=st.integers(0, 63),
    energy_MeV_u=st.integers(0, (1 << 20) - 1).map(lambda steps: steps / 100),
    focus=st.integers(0, 15),
    intensity=st.integers(0, 15),
    line=st.integers(0, 15),
)


@given(cycles)
def test_round_trip(cycle: Cycle):
    assert decode(encode(cycle)) == cycle


@given(cycles, cycles)
def test_different_cycles_have_different_codes(one: Cycle, other: Cycle):
    assert (encode(one) == encode(other)) == (one == other)


def test_layout():
    """Carbon (6) of 221.45 MeV/u, second focus, third intensity, line 3."""
    assert encode(Cycle(6, 221.45, 1, 2, 3)) == 3 << 34 | 6 << 28 | 2 << 24 | 1 << 20 | 22145


@given(st.floats(0.0, 10_000.0))
def test_energy_is_kept_to_half_a_step(energy_MeV_u: float):
    kept = decode(encode(Cycle(1, energy_MeV_u, 0, 0, 1))).energy_MeV_u
    assert kept == pytest.approx(energy_MeV_u, abs=0.005 + 1e-9)


@pytest.mark.parametrize(
    ("cycle", "value"),
    [
        (Cycle(64, 100.0, 0, 0, 0), "64 needs more than 6 bits"),
        (Cycle(1, 10_485.76, 0, 0, 0), "1048576 needs more than 20 bits"),
        (Cycle(1, 100.0, 16, 0, 0), "16 needs more than 4 bits"),
        (Cycle(1, 100.0, 0, 16, 0), "16 needs more than 4 bits"),
        (Cycle(1, 100.0, 0, 0, 16), "16 needs more than 4 bits"),
        (Cycle(-1, 100.0, 0, 0, 0), "-1 needs more than 6 bits"),
        (Cycle(1, -0.01, 0, 0, 0), "-1 needs more than 20 bits"),
    ],
)
def test_what_does_not_fit_is_refused(cycle: Cycle, value: str):
    with pytest.raises(ValueError, match=value):
        encode(cycle)


@given(st.integers(0, (1 << 38) - 1))
def test_every_code_of_38_bits_is_a_cycle(code: int):
    assert encode(decode(code)) == code


@pytest.mark.parametrize("code", [-1, 1 << 38])
def test_number_that_is_no_code(code: int):
    with pytest.raises(ValueError, match=f"{code} is no cycle-code: it needs more than 38 bits"):
        decode(code)


@pytest.mark.parametrize("name", ["cnao-h", "cnao-v"])
def test_every_listed_energy_comes_back_as_it_is(name: str):
    """The highest energy of a table must not come back a rounding error above it."""
    line = load_beamline(name)
    for ion, table in line.energies.items():
        for energy in table.energy_MeV_u.tolist():
            cycle = Cycle(IONS[ion].charge_number, energy, 0, 0, 1)
            assert decode(encode(cycle)) == cycle


@pytest.mark.parametrize(
    ("cycle", "words"),
    [
        (Cycle(6, 221.45, 0, 2, 1), "carbon 221.45 MeV/u, focus small, intensity 20 %, line 1"),
        (Cycle(6, 398.84, 1, 0, 1), "carbon 398.84 MeV/u, focus large, intensity 100 %, line 1"),
        (Cycle(1, 62.7, 0, 3, 0), "proton 62.70 MeV/u, focus standard, intensity 10 %, line 0"),
        # What the line has no name for.
        (Cycle(1, 62.7, 1, 4, 2), "proton 62.70 MeV/u, focus number 1, intensity number 4, line 2"),
        (Cycle(2, 100.0, 0, 0, 1), "helium 100.00 MeV/u, focus number 0, intensity 100 %, line 1"),
        (Cycle(63, 0.0, 0, 0, 1), "ion of charge 63 0.00 MeV/u, focus number 0, intensity 100 %, line 1"),
    ],
)
def test_in_words(cycle: Cycle, words: str):
    assert in_words(encode(cycle), load_beamline("cnao-h")) == words


@given(st.integers(0, (1 << 38) - 1))
def test_every_code_has_words(code: int):
    assert in_words(code, load_beamline("cnao-h")).count(", ") == 3
