"""Campaigns: thousands of simulated deliveries in which something fails, each held against the truth.

The invariants and their bounds are in `spotline.campaign.invariants` and `spotline.campaign.bounds`; they
are judged with what the simulation knows, never with what the control law believes.

May know every room but the faces.  Known to the faces only.
"""

from spotline.campaign.run import Campaign, run_campaign

__all__ = ["Campaign", "run_campaign"]
