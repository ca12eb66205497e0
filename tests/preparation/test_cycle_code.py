"""Cycle-codes hold what was put into them, or refuse it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.beamline import load_beamline
from spotline.physics.ions import IONS
from spotline.preparation.cycle_code import Cycle, decode, encode

cycles = st.builds(
    Cycle,
    charge_number=st.integers(0, 63),
    energy_MeV_u=st.integers(0, (1 << 20) - 1).map(lambda steps: steps / 100),
    focus=st.integers(0, 15),
    intensity=st.integers(0, 15),
)


@given(cycles)
def test_round_trip(cycle: Cycle):
    assert decode(encode(cycle)) == cycle


@given(cycles, cycles)
def test_different_cycles_have_different_codes(one: Cycle, other: Cycle):
    assert (encode(one) == encode(other)) == (one == other)


def test_layout():
    """Carbon (6) of 221.45 MeV/u, second focus, third intensity."""
    assert encode(Cycle(6, 221.45, 1, 2)) == 6 << 28 | 2 << 24 | 1 << 20 | 22145


@given(st.floats(0.0, 10_000.0))
def test_energy_is_kept_to_half_a_step(energy_MeV_u: float):
    kept = decode(encode(Cycle(1, energy_MeV_u, 0, 0))).energy_MeV_u
    assert kept == pytest.approx(energy_MeV_u, abs=0.005 + 1e-9)


@pytest.mark.parametrize(
    ("cycle", "value"),
    [
        (Cycle(64, 100.0, 0, 0), "64 needs more than 6 bits"),
        (Cycle(1, 10_485.76, 0, 0), "1048576 needs more than 20 bits"),
        (Cycle(1, 100.0, 16, 0), "16 needs more than 4 bits"),
        (Cycle(1, 100.0, 0, 16), "16 needs more than 4 bits"),
        (Cycle(-1, 100.0, 0, 0), "-1 needs more than 6 bits"),
        (Cycle(1, -0.01, 0, 0), "-1 needs more than 20 bits"),
    ],
)
def test_what_does_not_fit_is_refused(cycle: Cycle, value: str):
    with pytest.raises(ValueError, match=value):
        encode(cycle)


@given(st.integers(0, (1 << 34) - 1))
def test_every_code_of_34_bits_is_a_cycle(code: int):
    assert encode(decode(code)) == code


@pytest.mark.parametrize("name", ["cnao-h", "cnao-v"])
def test_every_listed_energy_comes_back_as_it_is(name: str):
    """The highest energy of a table must not come back a rounding error above it."""
    line = load_beamline(name)
    for ion, table in line.energies.items():
        for energy in table.energy_MeV_u.tolist():
            cycle = Cycle(IONS[ion].charge_number, energy, 0, 0)
            assert decode(encode(cycle)) == cycle
