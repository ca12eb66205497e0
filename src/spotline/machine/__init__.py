"""Beam lines: frozen facts of one treatment line, read from a folder of one TOML file and CSV tables.

May know physics, the limits that the control law has, and the ground.  Known to every room from
plan upwards.
"""

from __future__ import annotations

from spotline.machine.load import BeamLine, SpotSize, load_beamline, shipped_beamlines

__all__ = ["BeamLine", "SpotSize", "load_beamline", "shipped_beamlines"]
