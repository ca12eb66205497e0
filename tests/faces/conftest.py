"""What tests of the faces have in common."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a verb says does not depend on the cache of whoever runs the tests."""
    monkeypatch.setattr("spotline.faces.cli.bars.is_compiled", lambda: True)
