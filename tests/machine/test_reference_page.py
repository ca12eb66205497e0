"""The reference page of the beam-line file is what its generator writes."""

from __future__ import annotations

import msgspec
import pytest

from spotline.machine.accelerator import Cyclotron, Degrader
from spotline.machine.model import BeamLineFile
from tools import make_beamline_reference as generator

pytestmark = pytest.mark.stored


def test_page_is_up_to_date():
    remedy = "run tools/make_beamline_reference.py"
    assert generator.PAGE.read_text(encoding="utf-8") == generator.page(), remedy


def test_every_key_that_must_be_there_is_in_it_with_a_value():
    values = generator.example_values()

    def walk(kind: type[msgspec.Struct], where: str) -> None:
        for field in msgspec.structs.fields(kind):
            full = f"{where}.{field.name}" if where else field.name
            inner = [
                s for s in generator.structs_in(field.type) if s is not Cyclotron
            ]  # the example has none
            for struct in inner:
                walk(struct, full)
            if not inner and field.required:
                assert any(key == full or key.startswith(f"{full}.") for key in values), full

    walk(BeamLineFile, "")


def test_keys_of_the_kind_that_the_example_is_not_are_in_it_too():
    text = generator.page()
    kind = text[text.index("## `[accelerator]`, kind `cyclotron`") :]
    for struct in (Cyclotron, Degrader):
        for field in msgspec.structs.fields(struct):
            if not generator.structs_in(field.type):
                assert f"| `{field.name}` |" in kind, field.name


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("field_x_mm", "mm"),
        ("integral_field_mT_m_per_A", "mT m/A"),
        ("full_intensity_per_s", "1/s"),
        ("energy_tolerance_MeV_u", "MeV/u"),
        ("strip_period_us", "µs"),
        ("minimum_particles_per_spot", ""),
        ("feedback_gain", ""),
    ],
)
def test_units(name: str, unit: str):
    assert generator.unit_of(name) == unit
