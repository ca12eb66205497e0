"""The electromagnetic part of the transport against theory, at several lengths of its steps.

::

    python -m verification.transport --write docs/reference/verification-transport.md

Reactions are off: range, straggling and lateral spread then have theory to be held against.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

from spotline.physics.fermi_eyges import Layer, propagate
from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.stopping import RangeEnergy
from spotline.physics.straggling import range_straggling_g_cm2
from spotline.physics.transport.geometry import water
from spotline.physics.transport.history import Steps
from spotline.physics.transport.run import TransportPhysics, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan
from verification.figures import figure, percent, table
from verification.page import circumstances, fill, page_parser, put_page, say

BEAMS = ((PROTON, 70.0), (PROTON, 150.0), (PROTON, 220.0), (HELIUM, 150.0), (CARBON, 280.0), (OXYGEN, 300.0))
SHARES = (0.2, 0.1, 0.05, 0.02)
SHARE = Steps().share
DEPTH_SHARE = 0.9
"""Of the range, at which the lateral spread is compared."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a run gave, beside theory."""

    beam: str
    share: float
    primaries: int
    short_mm: float
    csda_mm: float
    sigma: float
    lateral: float
    lateral_mm: float
    per_s: float


def measure(ion: Ion, energy_MeV_u: float, share: float, primaries: int) -> Found:
    """Follow a pencil beam without reactions."""
    csda_mm = float(RangeEnergy(ion, WATER).range_mm(energy_MeV_u))
    sigma_mm = 10.0 * float(range_straggling_g_cm2(ion, energy_MeV_u, WATER))
    lateral_depth_mm = DEPTH_SHARE * csda_mm
    planes_mm = np.linspace(csda_mm - 8.0 * sigma_mm, csda_mm + 6.0 * sigma_mm, 141)
    around_mm = lateral_depth_mm + np.array([-0.1, 0.1]) * sigma_mm
    depth_mm = np.sort(np.concatenate([around_mm, planes_mm]))
    rings_mm = np.linspace(0.0, 25.0, 501)
    plan = TallyPlan(depth_mm, around_mm, rings_mm, planes_mm)
    began = time.process_time()
    tally = simulate(
        pencil_source(ion, energy_MeV_u),
        water(1.2 * csda_mm),
        plan,
        primaries=primaries,
        seed=1,
        threads=1,
        physics=TransportPhysics(Steps(share=share), reactions=False),
    )
    per_s = primaries / (time.process_time() - began)
    stopped = -np.diff(tally.crossing.sum(axis=1))
    middle_mm = 0.5 * (planes_mm[1:] + planes_mm[:-1])
    mean_mm = float(np.sum(stopped * middle_mm))
    spread_mm = float(np.sum(stopped * (middle_mm - mean_mm) ** 2)) ** 0.5
    energy = tally.ring_MeV[0]
    r2_mm2 = 0.5 * (rings_mm[1:] ** 2 + rings_mm[:-1] ** 2)
    lateral_mm = float(np.sum(energy * r2_mm2) / np.sum(energy) / 2.0) ** 0.5
    theory = propagate(PhaseSpace(0.0, 0.0), ion, energy_MeV_u, [Layer(WATER, lateral_depth_mm)])
    return Found(
        f"{ion.name} {energy_MeV_u:g} MeV/u",
        share,
        primaries,
        csda_mm - mean_mm,
        csda_mm,
        spread_mm / sigma_mm - 1.0,
        lateral_mm / float(theory.phase_space.sigma_mm) - 1.0,
        lateral_mm,
        per_s,
    )


def page(found: list[Found]) -> list[str]:
    """Put the page together."""
    error = (2 * found[0].primaries) ** -0.5
    normal = [f for f in found if f.share == SHARE]
    return [
        "# Verification of the transport",
        fill(
            f"""Made by `python -m verification.transport --write docs/reference/verification-transport.md` on
            {circumstances()}. Monoenergetic pencil beams in water without reactions, {found[0].primaries}
            primaries each."""
        ),
        "## Against theory",
        fill(
            f"""*Short of CSDA*: range in continuous slowing down less the mean depth in which primaries
            stop; it is the detour of scattered particles. *Straggling*: standard deviation of that depth
            against the integral of Tschalär (target: 1 %). *Spread*: lateral standard deviation of the dose
            at {DEPTH_SHARE:.0%} of the range, against the moments of Fermi and Eyges for the same
            scattering power. The statistical error of straggling is {percent(error, 2)} and that of the
            spread as much. *Per second*: primaries on one core, which were shared with other work."""
        ),
        table(
            ("Beam", "short of CSDA", "of it", "straggling", "spread", "mm", "per second"),
            [
                (
                    f.beam,
                    figure(f.short_mm, ".3f", "mm"),
                    percent(f.short_mm / f.csda_mm, 2),
                    figure(100 * f.sigma, "+.2f", "%", error=100 * error),
                    figure(100 * f.lateral, "+.2f", "%", error=100 * error),
                    figure(f.lateral_mm, ".2f"),
                    f"{f.per_s:.0f}",
                )
                for f in normal
            ],
        ),
        f"Largest deviation of the straggling: {percent(max(abs(f.sigma) for f in normal), 2)}.",
        "## Length of the steps",
        fill(
            f"""A step is a share of the residual range; {SHARE:g} is used. Nothing else may depend on it."""
        ),
        table(
            ("Beam", "share", "short of CSDA", "straggling", "spread", "per second"),
            [
                (
                    f.beam,
                    f"{f.share:g}",
                    figure(f.short_mm, ".3f", "mm"),
                    figure(100 * f.sigma, "+.2f", "%", error=100 * error),
                    figure(100 * f.lateral, "+.2f", "%", error=100 * error),
                    f"{f.per_s:.0f}",
                )
                for f in found
            ],
        ),
    ]


def main(arguments: list[str]) -> int:
    """Measure, then print or write the page."""
    parser = page_parser("python -m verification.transport", (__doc__ or "").splitlines()[0])
    parser.add_argument("--primaries", type=int, default=40_000)
    asked = parser.parse_args(arguments)
    found = []
    for ion, energy in BEAMS:
        for share in SHARES:
            say(f"{ion.name} {energy:g} MeV/u, steps of {share:g} ...")
            found.append(measure(ion, energy, share, asked.primaries))
    put_page(page(found), asked.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
