"""The memory that a delivery takes does not grow with the samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

PROGRAM = """
import resource, sys
from dataclasses import replace

import spotline
from spotline.physics.ions import CARBON
from tests.lines.facts import with_facts
from tests.treatment.plans import field, plan_of, square

out = sys.argv[1]
line = with_facts(spotline.load_beamline("cnao-h"), {"accelerator.cycle_period_s": 1.6})
energies = line.energies["carbon"].energy_MeV_u[10:110]
layers = [square(25, 3.0, 1.6e4, index=i, energy_MeV_u=float(e)) for i, e in enumerate(energies)]
layers = [
    replace(la, x_iso_mm=la.x_iso_mm[:500], y_iso_mm=la.y_iso_mm[:500], meterset=la.meterset[:500])
    for la in layers
]
treatment = spotline.prepare(plan_of(field(*layers)), line)
record = spotline.deliver(treatment, out)
summary = record.summary
print(
    summary["status"],
    summary["spots_delivered"],
    len(record.fields[0].slices),
    # Linux counts in kilobytes, macOS in bytes.
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_large_field(tmp_path: Path):
    """50 000 spots in 100 slices, without raw samples, stay below 1 GiB."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    status, spots, slices, peak_bytes = result.stdout.split()
    assert (status, int(spots), int(slices)) == ("complete", 50_000, 100)
    assert int(peak_bytes) < 1 << 30
