"""What a line is and what is believed of it: who is given which."""

from __future__ import annotations

from pathlib import Path

import pytest

import spotline
from spotline.errors import BeamLineError
from spotline.machine import BeamLine, load_beamline
from spotline.machine.true_line import load_true_line, true_line_of
from tests.lines.edit import edit
from tests.places import EXAMPLES

PLAN = EXAMPLES / "nine_spots_carbon.dcm"
SENTENCE = r"beamline\.toml: simulation: is missing; add the key$"


@pytest.fixture
def real(toml: Path) -> BeamLine:
    """A line of which nothing is known but what is believed."""
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text[: text.index("# From here on: the simulated room")], encoding="utf-8")
    return load_beamline(toml)


def test_the_truth_comes_with_what_it_deviates_from():
    line = load_beamline("cnao-h")
    true = true_line_of(line)
    assert true.believed is line
    assert true.simulation.chambers.int1_gain == 1.002
    assert load_true_line("cnao-h").believed.sha256 == line.sha256


def test_who_believes_a_line_finds_no_truth_in_its_facts():
    facts = load_beamline("cnao-h").facts
    assert "simulation" not in facts.__struct_fields__
    assert not hasattr(facts, "simulation")


def test_the_hash_sees_the_truth_too(toml: Path):
    before = load_beamline(toml)
    toml.write_text(
        toml.read_text(encoding="utf-8").replace("int1_gain = 1.002", "int1_gain = 1.003"), "utf-8"
    )
    after = load_beamline(toml)
    assert before.facts == after.facts
    assert before.sha256 != after.sha256
    assert true_line_of(before).simulation.chambers.int1_gain == 1.002, "as it was when it was read"


def test_a_line_without_truth_prepares(real: BeamLine):
    treatment = spotline.prepare(spotline.read_plan(PLAN), real)
    assert treatment.fields[0].particles > 0.0


def test_a_line_without_truth_has_no_simulated_room(real: BeamLine, tmp_path: Path):
    treatment = spotline.prepare(spotline.read_plan(PLAN), real)
    with pytest.raises(BeamLineError, match=SENTENCE):
        spotline.deliver(treatment, tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing is half-written"
    with pytest.raises(BeamLineError, match=SENTENCE):
        spotline.run_campaign(treatment, tmp_path / "campaign", runs=1)
    assert not (tmp_path / "campaign").exists()


def test_wrong_truth_is_found_when_a_line_is_loaded(toml: Path):
    edit(toml, ("int2_gain = 0.999", "int2_gian = 0.999"))
    with pytest.raises(BeamLineError, match=r"simulation\.chambers\.int2_gian: is not a known key"):
        load_beamline(toml)
