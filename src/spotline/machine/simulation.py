"""What the simulated room has and the control system does not know: noise, drifts, errors of calibration.

These are the tables under ``[simulation]`` in the TOML file of a beam line.  A real room would not read them.
"""

from __future__ import annotations

from msgspec import field

from spotline.machine.schema import Facts, NotNegative, Positive


class SimulatedSpill(Facts, frozen=True, kw_only=True):
    """Time structure of the slow extraction."""

    charge_spread: NotNegative
    """Relative standard deviation of the particles per spill."""
    ripple_frequencies_Hz: tuple[Positive, ...]
    """Lines of the intensity ripple, all of the same amplitude."""
    ripple_rms: NotNegative
    """Root mean square of the sum of all ripple lines, relative to the mean intensity."""
    noise_rms: NotNegative
    """Root mean square of the random intensity modulation (Ornstein-Uhlenbeck process)."""
    noise_time_us: Positive
    """Its correlation time."""


class SimulatedBeam(Facts, frozen=True, kw_only=True):
    """How the true beam differs from where the magnets point."""

    spill_offset_mm: NotNegative
    """Standard deviation of the position at the isocentre from spill to spill, each plane."""
    drift_mm_per_s: NotNegative
    """Standard deviation of the drift within a spill."""
    jitter_mm: NotNegative
    """Standard deviation of the fast jitter."""
    jitter_time_us: Positive
    """Correlation time of the jitter."""
    size_error: NotNegative
    """Relative standard deviation of the true spot size from the table, per spill and plane."""


class SimulatedChambers(Facts, frozen=True, kw_only=True):
    """What the true chambers do."""

    int1_gain: Positive = 1.0
    """True gain, relative to the calibration, of the monitor with the role int1."""
    strip_x_gain: Positive = 1.0
    """The same for strip_x."""
    strip_y_gain: Positive = 1.0
    """The same for strip_y."""
    int2_gain: Positive = 1.0
    """The same for int2."""
    pixel_gain: Positive = 1.0
    """The same for pixel."""
    gains: dict[str, Positive] = field(default_factory=dict)
    """The same for monitors without a role, by their names; 1 for those that are not here."""
    gain_map_residual: NotNegative
    """Half the peak-to-peak gain that the gain maps of the calibration do not know."""
    ion_drift_time_us: NotNegative
    """Time the slowest positive ions need across the gap; 0: charge arrives at once."""
    ionization_spread_proton: NotNegative
    """Relative standard deviation of the charge that one proton makes in a gap."""
    background_fA: NotNegative
    """Mean background current of a channel."""
    recombination_V: NotNegative
    """Collection efficiency 1 / (1 + a / V + b i / V^2): a."""
    recombination_V2_per_A: NotNegative
    """... and b, with i the ionization current of the chamber."""


class SimulatedGas(Facts, frozen=True, kw_only=True):
    """Slow drifts of gas and high voltage around their nominal values, and their sensors."""

    temperature_C: float
    """True temperature at the start."""
    temperature_drift_C_per_h: float
    """Its drift."""
    pressure_Pa: Positive
    """True pressure at the start."""
    pressure_drift_Pa_per_h: float
    """Its drift."""
    high_voltage_V: Positive
    """True high voltage."""
    temperature_noise_C: NotNegative
    """Standard deviation of a reading of the sensor."""
    pressure_noise_Pa: NotNegative
    """Standard deviation of a reading of the sensor."""
    high_voltage_noise_V: NotNegative
    """Standard deviation of a reading of the sensor."""


class SimulatedMagnets(Facts, frozen=True, kw_only=True):
    """How the true magnets differ from their calibration."""

    readback_noise_A: NotNegative
    """Standard deviation of a read-back."""
    field_error: float
    """Relative error of the integrated field, equal at all currents."""


class Simulation(Facts, frozen=True, kw_only=True):
    """Everything that the simulated room has and the control system does not know.

    A line without it loads and prepares, but has no simulated room.
    """

    spill: SimulatedSpill
    beam: SimulatedBeam
    chambers: SimulatedChambers
    gas: SimulatedGas
    magnets: SimulatedMagnets
