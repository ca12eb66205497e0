"""The slow sensors of the simulated room: gas, high voltage, and what is mounted in the nozzle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spotline.control.slow import BoxReading, SlowReading
from spotline.random import stream_key
from spotline.sim import settings as truths
from spotline.sim.course import Course
from spotline.sim.faults.integrals import apply_to_integrals
from spotline.sim.faults.slow import SENSORS, mounted_elements, with_faults
from spotline.sim.front_end import FrontEnd
from spotline.sim.setup import Setup

NOISE_OF_BOX = ((0, 1, 2), (4, 5, 3))
"""Which of six random numbers the sensors of temperature, pressure and high voltage of each box take."""


class SimulatedSensors:
    """Sensors whose noise depends on the time alone.

    Parameters
    ----------
    setup : Setup
        Line, field and seed.
    course : Course
        Time and faults of the room.
    front_end : FrontEnd
        Whose remainders of charge the background adds to.
    """

    def __init__(
        self,
        setup: Setup,
        course: Course,
        front_end: FrontEnd,
    ) -> None:
        self._setup = setup
        self._line = setup.line
        self._course = course
        self._faults = course.faults
        self._front_end = front_end

    def read(self, time_us: int) -> SlowReading | None:
        """Read gas and high voltage, each with the noise of its sensor; None if there is no reading."""
        self._course.live_until(time_us)
        if self._faults.is_active("slow_control.silent", time_us):
            return None
        boxes = self._sound(time_us)
        for active in self._faults.active(time_us):
            if active.fault.device not in SENSORS:
                continue
            number, sensor = SENSORS[active.fault.device]
            box = boxes[number - 1]
            if active.fault.mode == "stuck":
                shown = getattr(self._sound(max(0, active.onset_us))[number - 1], sensor)
            else:
                shown = getattr(box, sensor) + (active.fault.value or 0.0)
            boxes[number - 1] = replace(box, **{sensor: shown})
        return SlowReading(time_us=time_us, boxes=tuple(boxes), mounted=self.mounted_at(time_us))

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        """Count the background of INT1 and INT2 without beam, in whole counts."""
        now_us = self._course.clock_us
        self._course.live_until(now_us)
        integrals = truths.quiet_integrals(self._line)
        integrals = apply_to_integrals(integrals, self._faults.active(now_us), now_us)
        ticks = duration_s * 1e6
        counts1 = (integrals.int1_background_per_tick + integrals.int1_noise_per_tick) * ticks
        counts2 = (integrals.int2_background_per_tick + integrals.int2_noise_per_tick) * ticks
        return (
            max(0, int(counts1 + self._front_end.int1_remainder)) / duration_s,
            max(0, int(counts2 + self._front_end.int2_remainder)) / duration_s,
        )

    def mounted_at(self, time_us: int) -> tuple[str, ...]:
        """Passive elements that are in the nozzle."""
        known = self._line.believed.facts.passive_elements
        names = (*known.range_modulators, *known.range_shifters)
        return mounted_elements(self._setup.mounted, names, self._faults.active(time_us))

    def _sound(self, time_us: int) -> list[BoxReading]:
        """What sound sensors show, box by box."""
        gas, boxes = self._line.simulation.gas, self._line.believed.facts.boxes
        true = with_faults(truths.gas_state(gas, time_us), len(boxes), self._faults.active(time_us), time_us)
        key = stream_key(self._setup.seed, self._setup.field_number, time_us, truths.CAUSE_SLOW_CONTROL)
        noise = np.random.Generator(np.random.PCG64(key)).standard_normal(6)
        return [
            BoxReading(
                box.name,
                state.temperature_C + gas.temperature_noise_C * noise[temperature],
                state.pressure_Pa + gas.pressure_noise_Pa * noise[pressure],
                state.high_voltage_V + gas.high_voltage_noise_V * noise[voltage],
            )
            for box, state, (temperature, pressure, voltage) in zip(boxes, true, NOISE_OF_BOX, strict=False)
        ]
