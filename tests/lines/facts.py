"""Beam lines with single facts changed in memory, for what no file would say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from spotline.machine import BeamLine


def with_facts(line: BeamLine, changes: dict[str, Any]) -> BeamLine:
    """Change facts of a beam line without a check.

    Parameters
    ----------
    line : BeamLine
    changes : dict
        New values by key of the TOML file, as in ``"simulation.chambers.int2_gain"``; an ion stands under
        its name, as in ``"ions.carbon.full_intensity_per_s"``.
    """
    facts: Any = line.facts
    truth = {key: value for key, value in changes.items() if key.startswith("simulation.")}
    for key, value in changes.items():
        if key not in truth:
            facts = _changed(facts, key.split("."), value)
    # What is true is no fact of a line that is believed: it stands in its file alone.
    files = line.changed(truth, source="for a test").files if truth else line.files
    return replace(line, facts=facts, files=files)


def _changed(node: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    if isinstance(node, tuple):
        assert path[0] in [entry.name for entry in node], path
        return tuple(_changed(e, path[1:], value) if e.name == path[0] else e for e in node)
    return msgspec.structs.replace(node, **{path[0]: _changed(getattr(node, path[0]), path[1:], value)})
