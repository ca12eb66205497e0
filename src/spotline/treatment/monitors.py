"""What the files of a field say of the monitors of its line."""

from __future__ import annotations

from spotline.machine.geometry import isocentre_per_monitor
from spotline.machine.model import BeamLineFile
from spotline.treatment.headers import IsocentrePerChamber, RecordedMonitor


def isocentre_per_chamber(facts: BeamLineFile) -> IsocentrePerChamber:
    """Factors from positions at the monitors that the law uses to those at the isocentre."""
    pixel = facts.monitor("pixel")
    return IsocentrePerChamber(
        strip_x=isocentre_per_monitor(facts, facts.monitor("strip_x"), "x"),
        strip_y=isocentre_per_monitor(facts, facts.monitor("strip_y"), "y"),
        pixel_x=isocentre_per_monitor(facts, pixel, "x"),
        pixel_y=isocentre_per_monitor(facts, pixel, "y"),
    )


def recorded_monitors(facts: BeamLineFile) -> tuple[RecordedMonitor, ...]:
    """All monitors, in the order of the file."""
    return tuple(
        RecordedMonitor(
            name=monitor.name,
            kind=monitor.kind,
            plane=monitor.plane,
            box=monitor.box,
            distance_mm=monitor.distance_mm,
            role=monitor.role,
            iso_per_mm=None
            if monitor.plane is None
            else isocentre_per_monitor(facts, monitor, monitor.plane),
        )
        for monitor in facts.monitors
    )
