"""Where the tests find what is not theirs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"
"""Real plans, reference data and instrument files, beside the repository and not in it: may be absent."""
