"""Settings that hold for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.places import SHARED

# What several tests share asserts too, and has to say as much when it fails.
FOLDERS = [path.name for path in Path(__file__).parent.iterdir() if path.is_dir()]
pytest.register_assert_rewrite(*(f"tests.{name}" for name in FOLDERS))

# Read when matplotlib is first imported; no test may open a window.
os.environ["MPLBACKEND"] = "Agg"

# The first example of a test may have to wait for the compiler.  In CI the examples are always the
# same, so that a change never fails for what an earlier one did.
settings.register_profile("spotline", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("spotline")


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than delivering."""
    monkeypatch.setattr("spotline.write_report", lambda record, path: None)


@pytest.fixture(scope="session")
def shared_plans() -> Path:
    """Folder of real plans by other planning systems, which stands beside the repository, not in it."""
    folder = SHARED / "plans"
    if not folder.is_dir():
        pytest.skip("real plans are not part of the repository (folder ../shared/plans is absent)")
    return folder
