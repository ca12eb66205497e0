"""The first delivery takes a minute or two longer, and says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import spotline.sim.loop
from spotline.faces.cli import bars

IS_COMPILED = bars.is_compiled  # before a fixture replaces it
SAID = "the control law is being compiled for this computer"


@pytest.mark.parametrize(
    ("is_compiled", "quiet", "times"), [(False, False, 1), (False, True, 0), (True, False, 0)]
)
def test_it_is_said_once_and_not_when_quiet(
    is_compiled: bool, quiet: bool, times: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(bars, "is_compiled", lambda: is_compiled)
    with bars.delivery_bar(quiet):
        pass
    printed = capsys.readouterr()
    assert printed.err.count(SAID) == times
    assert printed.out == ""


def test_a_cold_cache_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stands_for(**attributes: Any) -> None:
        monkeypatch.setattr(spotline.sim.loop, "run_block", SimpleNamespace(**attributes))

    cache = SimpleNamespace(cache_path=str(tmp_path))
    stands_for(signatures=[], stats=cache)
    assert not IS_COMPILED()
    (tmp_path / "loop.run_block-354.py311.nbi").touch()
    assert IS_COMPILED()
    stands_for(signatures=[], stats=SimpleNamespace(cache_path=None))
    assert not IS_COMPILED(), "nothing is kept: compiled in every process"
    stands_for(signatures=["called before"], stats=cache)
    assert IS_COMPILED()
    monkeypatch.setattr(spotline.sim.loop, "run_block", print)
    assert IS_COMPILED(), "nothing is compiled without Numba"
