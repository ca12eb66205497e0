"""How a beam line is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.errors import BeamLineError
from spotline.machine import load_beamline


def refusal_of(path: Path) -> str:
    """Message with which a beam line is refused: one line that names a file of it."""
    with pytest.raises(BeamLineError) as caught:
        load_beamline(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path.parent))
    assert "; " in message, "says what to do"
    return message
