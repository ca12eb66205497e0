"""Every way in which something in the room can fail: one table.

Nothing else can be asked for in a file of faults or of `SimulatedRoom`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from spotline.control import interlocks as by

LINEAR = "linear"
LOG = "log"

Range = tuple[float, float]

ROLES_OF_DEVICE = {
    **{role: (role,) for role in ("int1", "int2", "strip_x", "strip_y", "pixel")},
    "integrals": ("int1", "int2"),
    "strips": ("strip_x", "strip_y"),
}
"""Roles in the control law of the monitors that a device is: one of them is enough for it to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A device and one of its ways to fail.

    Attributes
    ----------
    device, mode : str
    effect : str
        What happens, with the meaning of the value.
    unit : str
        Of the value; empty if there is none.
    legal : tuple of two float or None
        Smallest and largest value; None: it takes none.
    draws : tuple of two float or None
        Range of values drawn at random.
    scale : str
        How they are drawn: `LINEAR` or `LOG`.
    either_sign : bool
        Whether half of the values drawn are negative.
    is_whole : bool
        Whether a value must be a whole number.
    lasts_us : tuple of two int or None
        Range of durations drawn at random, logarithmic; None: always for good.
    may_stay : bool
        Whether it may last for good.
    at_us : tuple of two int
        Range of times drawn at random, after the start of extraction.
    detected_by : tuple of int
        Codes of the interlocks, any of which should find it; empty with a reason in `unseen`.
    unseen : str
        When it is not found, and why that may be.
    channel : str or None
        What can no longer be relied on to detect other faults.
    peak : float
        Largest factor by which it raises the intensity when its value is drawn.
    is_common : bool
        Whether something fails that several devices share: it is one fault, and no other is drawn with it.
    """

    device: str
    mode: str
    effect: str
    unit: str = ""
    legal: Range | None = None
    draws: Range | None = None
    scale: str = LOG
    either_sign: bool = False
    is_whole: bool = False
    lasts_us: tuple[int, int] | None = (1_000, 3_000_000)
    may_stay: bool = True
    at_us: tuple[int, int] = (-3_000_000, 2_500_000)
    detected_by: tuple[int, ...] = ()
    unseen: str = ""
    channel: str | None = None
    peak: float = 1.0
    is_common: bool = False

    @property
    def name(self) -> str:
        """Device and mode, as they name the kind."""
        return f"{self.device}.{self.mode}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles in the control law: the line must have a monitor with one of them for the fault to be."""
        return ROLES_OF_DEVICE.get(self.device, ())

    @property
    def box(self) -> int:
        """Number of the box, from 1, that it strikes; 0: none in particular."""
        numbered = self.device.startswith(("box", "high_voltage", "sensor_")) and self.device[-1].isdigit()
        return int(self.device[-1]) if numbered else 0

    def missing_on(self, roles: Collection[str], boxes: int) -> str:
        """What a line with monitors of these roles and so many boxes lacks for it; empty if nothing."""
        if self.roles and not any(role in roles for role in self.roles):
            return f"a monitor with the role {' or '.join(self.roles)}"
        return f"box {self.box}" if self.box > boxes else ""

    def peak_factor(self, value: float | None) -> float:
        """Largest factor by which a fault with this value may raise the intensity."""
        if self.peak == 1.0 or value is None:
            return 1.0
        return max(1.0, value) if self.mode == "spike" else 1.0 + value


_SMALL = "within the tolerance of the interlocks it is not found; dose is off by as much"


def _integral(number: int) -> tuple[FaultKind, ...]:
    device = f"int{number}"
    compared = (by.INT_RATE, by.INT_RATIO, by.INT_DIFFERENCE)
    counting = (*compared, by.BACKGROUND, by.BEAM_WHEN_OFF, by.INTENSITY, by.SPOT_DOSE, by.FIELD_DOSE)

    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device=device, mode=mode, effect=effect, channel=device, **more)

    return (
        kind("gain", "counts are those of a sound chamber times the value", unit="1", legal=(0.0, 100.0),
             draws=(0.3, 3.0), detected_by=(*compared, by.NO_COUNTS), unseen=_SMALL),
        kind("dead", "it counts nothing", detected_by=(by.NO_COUNTS, *compared)),
        kind("stuck", "it counts at the rate of the value whatever the beam", unit="counts/s",
             legal=(0.0, 1e9), draws=(1e2, 1e6), detected_by=(*counting, by.NO_COUNTS)),
        kind("drift", "its gain grows by the value every second, from 1", unit="1/s", legal=(-10.0, 10.0),
             draws=(0.05, 2.0), either_sign=True, detected_by=(*compared, by.NO_COUNTS), unseen=_SMALL),
        kind("noise", "counts of this mean rate come at random on top", unit="counts/s", legal=(0.0, 1e9),
             draws=(1e2, 1e6), detected_by=counting, unseen=_SMALL),
        kind("offset", "a steady current of the value is added", unit="counts/s", legal=(-1e9, 1e9),
             draws=(1e2, 1e5), either_sign=True, detected_by=(*counting, by.NO_COUNTS), unseen=_SMALL),
        kind("saturated", "it counts at most at the rate of the value", unit="counts/us", legal=(0.0, 1e4),
             draws=(0.005, 1.0), detected_by=(*compared, by.NO_COUNTS),
             unseen="harmless while the beam stays below the ceiling"),
    )  # fmt: skip


_DEAD_CHANNELS = "harmless away from the beam; at the beam the centre of gravity is off"


def _segmented(device: str, causes: tuple[int, ...], charge: int, channels: int) -> tuple[FaultKind, ...]:
    last, stretch = float(channels - 1), "16 strips from it on" if channels < 1000 else "its row"

    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device=device, mode=mode, effect=effect, channel=device, **more)

    def channel(mode: str, effect: str, unseen: str) -> FaultKind:
        return kind(mode, effect, unit="channel", legal=(0.0, 65_535.0), draws=(0.25 * last, 0.75 * last),
                    scale=LINEAR, is_whole=True, detected_by=(*causes, charge), unseen=unseen)  # fmt: skip

    return (
        kind("dead", "no channel counts", detected_by=(charge,)),
        channel("dead_channel", "the channel of this number, from 0, counts nothing", _DEAD_CHANNELS),
        channel("dead_stretch", f"the channel of this number and {stretch} count nothing", _DEAD_CHANNELS),
        channel("stuck_channel", "the channel of this number counts 10 in every frame",
                "harmless far from the beam: only channels near the spot make the position"),
        kind("noisy", "counts of this mean rate come at random in every channel", unit="counts/s",
             legal=(0.0, 1e9), draws=(1e1, 1e5), detected_by=(*causes, charge), unseen=_SMALL),
        kind("gain", "counts are those of a sound chamber times the value", unit="1", legal=(0.0, 100.0),
             draws=(0.1, 10.0), detected_by=(charge,), unseen="harmless: a position does not depend on it"),
    )  # fmt: skip


def _offset(device: str, plane: str, causes: tuple[int, ...]) -> FaultKind:
    mode = "offset" if device != "pixel" else f"offset_{plane}"
    return FaultKind(
        device=device, mode=mode, effect=f"positions in {plane} are off by the value, at the chamber",
        unit="mm", legal=(-1e3, 1e3), draws=(0.5, 20.0), either_sign=True, detected_by=causes,
        channel=device, unseen="below the limits on positions; the feedback moves the beam by as much",
    )  # fmt: skip


_X = (by.POSITION_X, by.PIXEL_POSITION_X, by.STRIP_PIXEL_X)
_Y = (by.POSITION_Y, by.PIXEL_POSITION_Y, by.STRIP_PIXEL_Y)
_OFF = (by.STRIP_CHARGE_X, by.STRIP_CHARGE_Y, by.PIXEL_CHARGE)


def _magnet(plane: str) -> tuple[FaultKind, ...]:
    position, current = (_X, by.CURRENT_X) if plane == "x" else (_Y, by.CURRENT_Y)

    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device=f"magnet_{plane}", mode=mode, effect=effect, **more)

    moved = (current, by.UNSETTLED, *position, *_OFF)
    read = f"current_{plane}"
    return (
        kind("trip", "the current decays to nothing with this time constant", unit="us", legal=(1.0, 1e7),
             draws=(1e2, 1e4), detected_by=moved),
        kind("stuck", "the supply holds its current", detected_by=moved,
             unseen="harmless while the beam need not move"),
        kind("slow", "it moves at its speed times the value", unit="1", legal=(1e-6, 1.0), draws=(0.01, 0.5),
             detected_by=moved, unseen="harmless while it arrives within the time of a spot"),
        kind("offset", f"the beam is off by the value in {plane}, the read-back is not", unit="mm",
             legal=(-1e3, 1e3), draws=(0.5, 20.0), either_sign=True, detected_by=(*position, *_OFF),
             unseen="below the limits on positions the feedback takes it back"),
        kind("drift", f"the beam drifts in {plane} by the value every second, the read-back does not",
             unit="mm/s", legal=(-1e3, 1e3), draws=(0.5, 50.0), either_sign=True,
             detected_by=(*position, *_OFF), unseen="the feedback follows a slow drift"),
        kind("readback_offset", "the read-back is off by the value", unit="A", legal=(-1e4, 1e4),
             draws=(0.1, 50.0), either_sign=True, detected_by=(current, by.UNSETTLED), channel=read,
             unseen="below the limit harmless: the beam is where it should be"),
        kind("readback_stuck", "the read-back stays what it is", detected_by=(current, by.UNSETTLED),
             channel=read, unseen="harmless while the beam need not move"),
        kind("readback_lost", "the read-back does not arrive", detected_by=(by.DATA_CURRENT,), channel=read,
             unseen="harmless if it misses a few values"),
        kind("readback_noise", "noise of this standard deviation is added to the read-back", unit="A",
             legal=(0.0, 1e4), draws=(0.05, 20.0), detected_by=(current, by.UNSETTLED), channel=read,
             unseen="below the limit harmless: the beam is where it should be"),
    )  # fmt: skip


_POSITIONS = (*_X, *_Y, *_OFF)


def _beam() -> tuple[FaultKind, ...]:
    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device="beam", mode=mode, effect=effect, **more)

    def moving(plane: str, causes: tuple[int, ...]) -> tuple[FaultKind, ...]:
        return (
            kind(f"shift_{plane}", f"the beam is off by the value in {plane}", unit="mm", legal=(-1e3, 1e3),
                 draws=(0.5, 20.0), either_sign=True, detected_by=(*causes, *_OFF),
                 unseen="below the limits on positions the feedback takes it back"),
            kind(f"drift_{plane}", f"the beam drifts in {plane} by the value every second", unit="mm/s",
                 legal=(-1e3, 1e3), draws=(0.5, 50.0), either_sign=True, detected_by=(*causes, *_OFF),
                 unseen="the feedback follows a slow drift"),
        )  # fmt: skip

    return (
        *moving("x", _X),
        *moving("y", _Y),
        kind("wide", "the beam is wider by this factor", unit="1", legal=(0.05, 20.0), draws=(0.4, 3.0),
             detected_by=(*_POSITIONS, by.WIDTH_X, by.WIDTH_Y),
             unseen="lines without `width_ratio` do not check the width; the record has it, and so its dose"),
        kind("energy", "its energy is that of the cycle-code times the value, as far as the tables of the "
             "line go", unit="1", legal=(0.1, 10.0), draws=(0.8, 1.25),
             detected_by=(*_POSITIONS, by.RING_CHARGE),
             unseen="on the axis nothing in the nozzle sees the energy, and the charge of the ring only a "
             "higher one; particles are off as the stopping power, the depth is wrong"),
        kind("spike", "the intensity is higher by this factor", unit="1", legal=(1.0, 1000.0),
             draws=(2.0, 100.0), lasts_us=(100, 50_000), peak=100.0,
             detected_by=(by.INTENSITY, by.UNSETTLED, by.SPOT_DOSE, by.FIELD_DOSE),
             unseen="below the limit on the intensity spots only end sooner"),
        kind("low", "the intensity is lower by this factor", unit="1", legal=(0.0, 1.0), draws=(0.001, 0.5),
             detected_by=(by.NO_COUNTS, by.INTENSITY_FLOOR, by.BEAM_UNSEEN),
             unseen="harmless: the spill is only weak"),
        kind("stops", "nothing is extracted", detected_by=(by.NO_COUNTS, by.BEAM_UNSEEN),
             unseen="harmless: the beam is only missing"),
        kind("stray", "this fraction of the full intensity comes out all the time, also without extraction",
             unit="1", legal=(0.0, 1.0), draws=(0.01, 1.0), detected_by=(by.BEAM_WHEN_OFF, by.INTENSITY),
             unseen="harmless: the chopper keeps it away", peak=2.0),
    )  # fmt: skip


_EVENTS = (by.EVENT_MISSING, by.EVENT_UNEXPECTED)


def _timing() -> tuple[FaultKind, ...]:
    # An event is concerned if the fault is there when it was announced for, so it must last beyond that.
    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(
            device="timing",
            mode=mode,
            effect=effect,
            lasts_us=(2_000_000, 20_000_000),
            at_us=(-2_000_000, 0),
            **more,
        )

    def shift(event: str) -> FaultKind:
        return kind(f"shift_{event}", f"the event of the {event} of extraction comes later by the value",
                    unit="us", legal=(-1e7, 1e7), draws=(1e3, 3e5), either_sign=True, is_whole=True,
                    detected_by=(*_EVENTS, by.NO_COUNTS), unseen="harmless within the tolerance")  # fmt: skip

    return (
        kind("lost_start", "the event of the start of extraction does not come",
             detected_by=(by.EVENT_MISSING,)),
        kind("lost_end", "the event of the end of extraction does not come", detected_by=(by.EVENT_MISSING,),
             unseen="harmless if the slice is complete before"),
        shift("start"),
        shift("end"),
        kind("wrong_code", "the cycle-code that is broadcast is higher by the value", unit="1",
             legal=(-1e9, 1e9), draws=(1.0, 1e4), is_whole=True, detected_by=(by.SYNCHRONIZATION,)),
        kind("double", "every event comes again after the value", unit="us", legal=(1.0, 1e7),
             draws=(25.0, 5e5), is_whole=True, detected_by=(by.EVENT_UNEXPECTED,),
             unseen="harmless if it comes when the spill is over"),
        kind("clock_slip", "the clock of the timing system runs slow by the value; events come later and "
             "later", unit="ppm", legal=(-1e6, 1e6), draws=(1e2, 1e5), either_sign=True,
             detected_by=(*_EVENTS, by.NO_COUNTS), unseen="harmless within the tolerance"),
    )  # fmt: skip


def _chopper() -> tuple[FaultKind, ...]:
    def kind(mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device="chopper", mode=mode, effect=effect, **more)

    return (
        kind("slow", "its delays and ramps are longer by this factor", unit="1", legal=(1.0, 1e4),
             draws=(2.0, 100.0),
             detected_by=(by.BEAM_WHEN_OFF, by.UNSETTLED, by.SPOT_DOSE, by.FIELD_DOSE, by.RING_CHARGE),
             unseen="harmless while the beam is not to be switched off"),
        kind("stuck_open", "it does not close; what is open stays open",
             detected_by=(by.BEAM_WHEN_OFF, by.SPOT_DOSE, by.FIELD_DOSE),
             unseen="harmless while the beam is not to be switched off"),
        kind("stuck_closed", "it does not open",
             detected_by=(by.NO_COUNTS, by.RING_CHARGE, by.BEAM_UNSEEN),
             unseen="harmless: the beam is only missing"),
        kind("leak", "this fraction of the beam passes when it is closed", unit="1", legal=(0.0, 1.0),
             draws=(0.001, 0.5), detected_by=(by.BEAM_WHEN_OFF,),
             unseen="harmless without extraction; below the limit it adds a few counts"),
    )  # fmt: skip


def _box(number: int) -> tuple[FaultKind, ...]:
    temperature, pressure, voltage = (
        (by.TEMPERATURE_1, by.PRESSURE_1, by.HIGH_VOLTAGE_1)
        if number == 1
        else (by.TEMPERATURE_2, by.PRESSURE_2, by.HIGH_VOLTAGE_2)
    )
    box, supply = f"box{number}", f"high_voltage{number}"
    gain = (by.INT_RATE, by.INT_RATIO, by.INT_DIFFERENCE)
    charge = (by.STRIP_CHARGE_X, by.STRIP_CHARGE_Y) if number == 1 else (by.PIXEL_CHARGE,)
    late = "harmless until the change is as large as the limit; dose is off by less than that"

    def sensor(quantity: str, unit: str, largest: float, causes: tuple[int, ...]) -> tuple[FaultKind, ...]:
        device = f"sensor_{quantity}{number}"
        return (
            FaultKind(device=device, mode="stuck", effect="it shows what it shows for ever", channel=device,
                      unseen="harmless alone: it hides a change of the gas or of the voltage"),
            FaultKind(device=device, mode="offset", effect="it shows the value too much", unit=unit,
                      legal=(-1e6, 1e6), draws=(largest / 100.0, largest), either_sign=True,
                      detected_by=causes, channel=device, unseen=late),
        )  # fmt: skip

    return (
        FaultKind(device=box, mode="leak", effect="the pressure falls by the value every second",
                  unit="Pa/s", legal=(-1e5, 1e5), draws=(1e2, 2e4), unseen=late,
                  detected_by=(by.GAS_LINE, pressure, by.GAS_DENSITY, *gain)),
        FaultKind(device=box, mode="heating", effect="the temperature rises by the value every second",
                  unit="C/s", legal=(-100.0, 100.0), draws=(0.05, 10.0), unseen=late,
                  detected_by=(by.GAS_LINE, temperature, by.GAS_DENSITY, *gain)),
        FaultKind(device=supply, mode="sag", effect="the voltage of the box is lower by the value", unit="V",
                  legal=(-1e4, 1e4), draws=(1.0, 390.0),
                  detected_by=(by.HIGH_VOLTAGE_LINE, voltage, *gain, *charge),
                  unseen="harmless within the tolerance, or shorter than a reading: the charge is collected"),
        FaultKind(device=supply, mode="trip", effect="the voltage of the box decays to nothing within 10 ms",
                  detected_by=(by.HIGH_VOLTAGE_LINE, voltage, *gain, *charge, by.NO_COUNTS),
                  unseen="harmless if it is over before the charge is missed"),
        *sensor("temperature", "C", 20.0, (temperature, by.GAS_DENSITY)),
        *sensor("pressure", "Pa", 2e4, (pressure, by.GAS_DENSITY)),
        *sensor("high_voltage", "V", 50.0, (voltage,)),
    )  # fmt: skip


def _others() -> tuple[FaultKind, ...]:
    def lost(device: str, cause: int) -> FaultKind:
        return FaultKind(device=device, mode="lost", effect="its data do not arrive", detected_by=(cause,),
                         channel=device, lasts_us=(25, 1_000_000),
                         unseen="harmless if it misses a few samples")  # fmt: skip

    def once(device: str, mode: str, effect: str, cause: int) -> FaultKind:
        return FaultKind(device=device, mode=mode, effect=effect, detected_by=(cause,))

    at_once: dict[str, Any] = {"lasts_us": None, "at_us": (-3_000_000, 2_500_000)}
    return (
        lost("integrals", by.DATA_INTEGRAL),
        lost("strips", by.DATA_STRIP),
        lost("pixel", by.DATA_PIXEL),
        FaultKind(device="slow_control", mode="silent", effect="there are no readings",
                  lasts_us=(1_000_000, 20_000_000), detected_by=(by.SLOW_SILENCE,), channel="slow_control",
                  unseen="harmless if it misses one or two readings"),
        once("passive_elements", "removed", "one of the elements in the nozzle is taken away",
             by.PASSIVE_ELEMENTS),
        once("passive_elements", "wrong", "an element that the line has is in the nozzle instead of another",
             by.PASSIVE_ELEMENTS),
        once("couch", "unlocked", "the couch is not locked", by.COUCH),
        once("operator", "stop", "the operator presses stop", by.OPERATOR),
        once("supervision", "abort", "the supervision aborts", by.SUPERVISION),
        FaultKind(device="fast_control", mode="hang", effect="the fast control does not run; it is started "
                  "again 100 ms after the extraction at the latest", lasts_us=(25, 3_000_000),
                  detected_by=(by.WATCHDOG, *_EVENTS), channel="fast_control",
                  unseen="harmless if it is shorter than the watchdog waits"),
        FaultKind(device="process", mode="kill", effect="the process that delivers is killed",
                  unseen="the watchdog takes the beam away; the delivery is resumed from its journal",
                  **at_once),
        FaultKind(device="power", mode="loss", effect="the power fails, with it all that is not on the disk",
                  unseen="as the killed process", **at_once),
        FaultKind(device="disk", mode="full", effect="the disk takes nothing more",
                  lasts_us=(1_000_000, 20_000_000), detected_by=(by.RECORD, by.RECOVERY),
                  unseen="harmless while nothing is written"),
    )  # fmt: skip


def _shared() -> tuple[FaultKind, ...]:
    outside = (by.RING_CHARGE, by.BEAM_UNSEEN, by.INTENSITY_FLOOR)
    voltage = (by.HIGH_VOLTAGE_LINE, by.HIGH_VOLTAGE_1, by.HIGH_VOLTAGE_2)

    def kind(device: str, mode: str, effect: str, **more: Any) -> FaultKind:
        return FaultKind(device=device, mode=mode, effect=effect, is_common=True, **more)

    return (
        kind("gas", "contaminated", "the gain of all chambers falls by the value every second, to a tenth at "
             "least; pressure and temperature stay", unit="1/s", legal=(0.0, 10.0), draws=(0.01, 0.5),
             detected_by=outside, unseen=_SMALL),
        kind("high_voltage", "trip", "the crate trips: the voltage of both boxes decays to nothing within "
             "10 ms", detected_by=(*voltage, *outside), unseen="harmless between spills"),
        kind("front_ends", "dead", "the supply of the front-ends fails: no channel of any chamber counts",
             detected_by=outside, unseen="harmless while the chopper is closed"),
        kind("clock", "stop", "the clock stops: the fast control and all it reads stand still",
             lasts_us=(1_000, 1_000_000), detected_by=(by.WATCHDOG,),
             unseen="harmless when no spill is under way"),
        kind("timing_network", "lost", "no event of any spill arrives", lasts_us=(2_000_000, 20_000_000),
             at_us=(-2_000_000, 0), detected_by=(by.EVENT_MISSING,)),
        kind("readout_link", "lost", "no data of any chamber or supply arrive", lasts_us=(25, 1_000_000),
             detected_by=(by.DATA_INTEGRAL, by.DATA_STRIP, by.DATA_PIXEL, by.DATA_CURRENT),
             unseen="harmless if it misses a few samples"),
    )  # fmt: skip


KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        *_integral(1),
        *_integral(2),
        *_segmented("strip_x", _X, by.STRIP_CHARGE_X, 128),
        _offset("strip_x", "x", _X),
        *_segmented("strip_y", _Y, by.STRIP_CHARGE_Y, 128),
        _offset("strip_y", "y", _Y),
        *_segmented("pixel", (*_X, *_Y), by.PIXEL_CHARGE, 1024),
        _offset("pixel", "x", _X),
        _offset("pixel", "y", _Y),
        *_magnet("x"),
        *_magnet("y"),
        *_beam(),
        *_timing(),
        *_chopper(),
        *_box(1),
        *_box(2),
        *_others(),
        *_shared(),
    )
}
"""Every kind of fault, by its name."""


def closest_kind(name: str) -> str:
    """Return a hint at the kind that was probably meant, or at the list of all."""
    near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "docs/reference/faults.md has them all"
