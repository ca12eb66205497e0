"""Widths of spots in the simulated room, with a beam that stands still: their uncertainties are honest."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from spotline import load_beamline
from spotline.physics.ions import IONS
from spotline.record.model import FieldRecord
from spotline.record.spill_file import read_spill
from spotline.sim.chambers import channel_shares
from tests.delivery.deliveries import deliver_field
from tests.lines.facts import with_facts
from tests.treatment.plans import field, layer, plan_of

PITCH_mm, PIXEL_PITCH_mm = 1.65, 6.6

STILL = {
    "simulation.beam.jitter_mm": 0.0,
    "simulation.beam.spill_offset_mm": 0.0,
    "simulation.beam.drift_mm_per_s": 0.0,
    "control.feedback_gain": 0.0,
}
CASES = {
    "carbon, few counts": ("carbon", 221.45, 6e4),
    "carbon, many counts": ("carbon", 221.45, 1.5e6),
    "proton, few counts": ("proton", 148.27, 4e6),
    "proton, many counts": ("proton", 148.27, 6e7),
    "widest proton beam": ("proton", 62.73, 2e7),
}


def truncated_sd_mm(sigma_mm: float, pitch_mm: float) -> float:
    """Standard deviation of the beam as the simulated chamber sees it, which ends at 3.5 of its own."""
    shares = channel_shares(sigma_mm, pitch_mm)[0]
    index = np.arange(shares.shape[1])
    mean = shares @ index
    variance = (shares * (index - mean[:, None]) ** 2).sum(axis=1).mean() - 1.0 / 12.0
    return float(math.sqrt(variance) * pitch_mm)


def pulls(record: FieldRecord, chamber: str, pitch_mm: float) -> np.ndarray:
    """Measured less true, over the uncertainty, of both planes of all spots with a width."""
    found = []
    for path in sorted((record.path / "spills").glob("*.h5")):
        spill = read_spill(path)
        assert spill.truth is not None
        for plane, column in (("x", 5), ("y", 6)):
            true_mm = np.sqrt(spill.truth[:, column] / spill.truth[:, 0])
            sd_mm = spill.parts[f"{plane}_{chamber}_sd_mm"]
            error_mm = spill.parts[f"{plane}_{chamber}_sd_error_mm"]
            known = np.isfinite(sd_mm)
            seen_mm = np.array([truncated_sd_mm(t, pitch_mm) for t in np.unique(true_mm[known])])
            place = np.searchsorted(np.unique(true_mm[known]), true_mm[known])
            found.append((sd_mm[known] - seen_mm[place]) / error_mm[known])
    return np.concatenate(found)


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FieldRecord:
    """A hundred spots of one beam, 3.1 mm apart, so that they lie anywhere in strips and pixels."""
    ion, energy_MeV_u, particles = CASES[request.param]
    x_mm, y_mm = np.meshgrid(3.1 * np.arange(-5.0, 5.0), 3.3 * np.arange(-5.0, 5.0))
    x_mm[1::2] = x_mm[1::2, ::-1]
    spots = layer(x_mm.ravel(), y_mm.ravel(), particles, energy_MeV_u=energy_MeV_u)
    one = field(spots)
    one = dataclasses.replace(one, ion=IONS[ion])
    line = with_facts(load_beamline("cnao-h"), STILL)
    return deliver_field(plan_of(one), line, tmp_path_factory.mktemp("widths") / "out", seed=11)


def test_uncertainties_are_honest(measured: FieldRecord):
    """Both planes of a hundred spots: their mean is uncertain by 0.07, their standard deviation by 0.05."""
    found = pulls(measured, "strip", PITCH_mm)
    assert len(found) >= 180
    assert abs(found.mean()) < 0.4
    assert 0.75 < found.std() < 1.25


def test_uncertainties_of_pixels_are_honest(measured: FieldRecord):
    """A beam narrower than half a pixel has no width there."""
    found = pulls(measured, "pixel", PIXEL_PITCH_mm)
    if measured.facts.ion == "carbon":
        assert not len(found)
        return
    assert len(found) >= 180
    assert abs(found.mean()) < 0.4
    assert 0.75 < found.std() < 1.25


def test_the_window_takes_little_of_the_widest_beam(measured: FieldRecord):
    """With many counts a bias would show: it is far below one percent of the width."""
    truth, spots = measured.truth, measured.spots
    assert truth is not None
    if spots["sigma_error_x_mm"][0] > 0.01 * truth["sigma_x_mm"][0]:
        return
    for name in ("sigma_x_mm", "sigma_y_mm"):
        assert np.mean(spots[name]) == pytest.approx(np.mean(truth[name]), rel=0.007)
