"""Ions by name."""

from __future__ import annotations

import pytest

from spotline.errors import OptionError
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.names import ion_named
from spotline.physics.nuclei import SPECIES


@pytest.mark.parametrize(
    ("names", "ion"),
    [
        (("p", "H", "h", "1H", "H1", "proton", "Proton"), PROTON),
        (("He", "alpha", "4he", "helium", "He-4"), HELIUM),
        (("C", "c", "12C", "C12", "C-12", " carbon "), CARBON),
        (("O", "16O", "oxygen"), OXYGEN),
    ],
)
def test_names_of_beams(names: tuple[str, ...], ion: Ion):
    assert {ion_named(name).symbol for name in names} == {ion.symbol}


@pytest.mark.parametrize("ion", SPECIES, ids=lambda ion: ion.symbol)
def test_every_species_has_its_name_and_symbol(ion: Ion):
    assert ion_named(ion.symbol) is ion
    assert ion_named(ion.name) is ion


def test_light_isotopes():
    assert (ion_named("d").symbol, ion_named("t").symbol) == ("2H", "3H")


@pytest.mark.parametrize("name", ["", "Li", "14C", "neutron", "12"])
def test_unknown_names(name: str):
    with pytest.raises(OptionError, match="there is no ion"):
        ion_named(name)
