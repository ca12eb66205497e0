"""The facts of one beam line, as a tree of frozen records.

The TOML file of a beam line has one table per class below, with the same keys; unknown keys are
refused.  What depends on energy lies in CSV tables beside the TOML file.  `spotline.machine.load`
reads, checks and hashes both.

The numbers here (geometry, calibration, tolerances) are the nominal ones: what the control system believes,
and `prepare` uses.  What is true in the simulated room, the tables under ``[simulation]``, is in
`spotline.machine.simulation`; the kinds of accelerators are in `spotline.machine.accelerator`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from spotline.machine.accelerator import Accelerator
from spotline.machine.monitors import Box, Monitor, Plane, Role, box_numbers
from spotline.machine.schema import Facts, Fraction, NotNegative, Positive, Several, Whole, Word
from spotline.machine.simulation import Simulation
from spotline.physics.ions import IONS, Ion


class Geometry(Facts, frozen=True, kw_only=True):
    """Where things stand.  Distances are measured from the isocentre, upstream positive."""

    gantry_angles_deg: tuple[float, ...] = ()
    """IEC 61217 gantry angles of a fixed line; empty if `gantry_range_deg` is given."""
    gantry_range_deg: tuple[float, float] | None = None
    """Range of a rotating gantry."""
    x_source_to_isocentre_mm: Positive
    """Centre of the magnet that scans x (virtual source of the plane)."""
    y_source_to_isocentre_mm: Positive
    """Centre of the magnet that scans y."""
    field_x_mm: Positive
    """Full width of the field at the isocentre: spots beyond half of it are refused."""
    field_y_mm: Positive
    """The same in y."""

    def source_to_isocentre_mm(self, plane: Plane) -> float:
        """Distance of the virtual source of a plane."""
        return self.x_source_to_isocentre_mm if plane == "x" else self.y_source_to_isocentre_mm


class ScanningAxis(Facts, frozen=True, kw_only=True):
    """A scanning magnet and its power supply (one plane)."""

    integral_field_mT_m_per_A: Positive
    """Integrated field per current."""
    current_limit_A: Positive
    """Largest current, either sign."""
    current_step_A: NotNegative
    """Quantum of the set-point; 0 for a continuous one."""
    slew_A_per_s: Positive
    """Largest rate of change of the current."""
    settling_time_us: NotNegative
    """Time constant of the approach to the set-point once the supply no longer slews."""


class Scanning(Facts, frozen=True, kw_only=True):
    """Both scanning axes."""

    x: ScanningAxis
    """Magnet that deflects along x."""
    y: ScanningAxis
    """Magnet that deflects along y."""


class Chambers(Facts, frozen=True, kw_only=True):
    """What holds for all monitors."""

    charge_quantum_fC: Positive
    """Charge of one count."""
    reference_temperature_C: float
    """Gas temperature to which the calibration belongs."""
    reference_pressure_Pa: Positive
    """Gas pressure to which the calibration belongs."""


class Calibration(Facts, frozen=True, kw_only=True):
    """From particles to counts, beyond the energy dependence that stands in the ion tables."""

    int1_daily_factor: Positive = 1.0
    """Counts per particle today relative to the table, found by the daily check of the monitors."""
    int2_daily_factor: Positive = 1.0
    """The same for INT2."""
    int1_gain_map: str | None = None
    """CSV table of relative gain over the field (x_iso_mm, y_iso_mm, gain); None: uniform."""
    int2_gain_map: str | None = None
    """The same for INT2."""


class Chopper(Facts, frozen=True, kw_only=True):
    """The fast magnet that takes the beam away from the line, and brings it back."""

    off_delay_us: NotNegative
    """From the command to the first loss of intensity."""
    off_ramp_us: NotNegative
    """From full intensity to none."""
    on_delay_us: NotNegative
    """From the command to the first beam."""
    on_ramp_us: NotNegative
    """From none to full intensity."""


class Slab(Facts, frozen=True, kw_only=True):
    """What a passive element is made of, as in ``"Slab 1" = { material = "PMMA", thickness_mm = 30.0 }``."""

    material: str
    """Substance, such as ``RW3`` or ``PMMA``."""
    thickness_mm: Positive
    """Thickness of that substance; how much water it is worth is a figure of its own."""


class PassiveElements(Facts, frozen=True, kw_only=True):
    """What may be mounted in the nozzle."""

    range_shifters: dict[str, Positive] = field(default_factory=dict)
    """Water-equivalent thickness in mm by the name that plans use."""
    range_modulators: dict[str, Positive] = field(default_factory=dict)
    """Ripple filters: mean water-equivalent thickness in mm by name; the thickness that a particle meets is
    uniform from 0 to twice the mean."""
    made_of: dict[str, Slab] = field(default_factory=dict)
    """Substance of passive elements by name, which scatters the beam; one that is not here scatters like as
    much water, a range shifter of plastic a tenth too much."""


class NozzleLayer(Facts, frozen=True, kw_only=True):
    """Matter that is always in the beam between the vacuum and the isocentre."""

    name: str
    """What it is."""
    material: str
    """Substance, such as ``Kapton``; of something known by its water-equivalent thickness it is ``water``."""
    thickness_mm: Positive
    """Thickness of that substance."""
    upstream_mm: NotNegative
    """Distance of its upstream face from the isocentre."""
    length_mm: NotNegative = 0.0
    """Way along the beam over which it is spread evenly, in place of the air there; 0: its thickness."""


class Nozzle(Facts, frozen=True, kw_only=True):
    """What scatters the beam on its way to the isocentre, and the beam that comes out of the vacuum.

    Air fills the rest of the way.  Without this table the line has spot sizes at the isocentre and at the
    chambers only.
    """

    window_to_isocentre_mm: Positive
    """Where the vacuum ends, upstream of the isocentre."""
    layers: tuple[NozzleLayer, ...] = ()
    """Window, chambers and whatever else is fixed."""
    passive_elements_mm: dict[str, Positive] = field(default_factory=dict)
    """Distance of the upstream face of each passive element from the isocentre, by its name; where another
    one still is, an element begins behind that."""
    emittance_mm_mrad: dict[str, Positive]
    """RMS emittance of the extracted beam times beta gamma (normalised), by ion."""


class Control(Facts, frozen=True, kw_only=True):
    """Rates, thresholds and gains of the fast control."""

    scan_period_us: Several
    """Period of the magnet set-points and read-backs (25: 40 kHz)."""
    strip_period_us: Several
    """Period of the strip frames; a multiple of `scan_period_us`."""
    pixel_period_us: Several
    """Period of the pixel frames; a multiple of `strip_period_us`."""
    beam_off_jump_mm: Positive
    """The beam is switched off between spots further apart than this at the isocentre."""
    beam_off_transit_share: Positive
    """It is also switched off where more than this part of the arriving spot would be delivered on the way
    to it, if the chopper is faster than the magnets."""
    strip_blanking_us: Whole
    """After the move to a spot, strip frames are left out this long (magnets and late ions)."""
    feedback_gain: Fraction
    """Fraction of a measured deviation that one correction removes; 0 switches the feedback off."""
    feedback_limit_mm: NotNegative
    """Largest total correction at the isocentre."""
    settled_current_A: Positive
    """After a jump the beam is switched on when both read-backs are this close to the set-points."""
    anticipate_beam_off: bool
    """Command the chopper early by the counts expected while it closes."""
    collection_time_us: Whole
    """How long counts are still collected after the beam is off (drift of the ions in the gas)."""
    int2_margin_counts: Annotated[int, Meta(ge=0)]
    """Counts that INT2, the back-up, is allowed beyond its prescription, so that INT1 leads."""
    minimum_spot_time_us: NotNegative
    """The intensity of a slice is chosen so that no spot would be shorter than this."""
    recovery_period_us: Several
    """The recovery journal confirms so often what has been delivered: it is never further behind."""
    recovery_credit: Positive
    """Counts between two confirmations beyond which the beam is paused, relative to those of the nominal
    intensity in that time."""
    minimum_spot_counts: Several
    """Spots that would make fewer counts in the integral chambers are refused, and not repainted with
    less."""


class FastInterlocks(Facts, frozen=True, kw_only=True):
    """Tolerances of the fast control (Table 4 of the dose delivery paper)."""

    int_difference_counts: Several
    """Largest abs(INT1 - INT2) within a spot."""
    int_ratio: Positive
    """Largest abs(INT1 - INT2) / INT1 within a spot ..."""
    int_ratio_minimum_counts: Whole
    """... checked once INT1 has this many counts in the spot."""
    intensity_window_us: Several
    """Window over which the beam intensity is averaged."""
    position_mm: Positive
    """Largest deviation of the beam at the isocentre, from the strips, in x and in y."""
    pixel_position_mm: Positive
    """The same from the pixel chamber."""
    background_counts_per_s: NotNegative
    """Largest background of an integral chamber before a treatment."""
    int_rate_ratio: Positive
    """Largest abs(INT1 - INT2) / INT1 over ..."""
    int_rate_counts: Several
    """... so many counts, across spots."""
    no_counts_us: Several
    """Longest time without a count of either integral chamber while the beam should be on."""
    current_mm: Positive
    """Largest difference between set-point and read-back of a magnet that has had its time, at the
    isocentre."""
    current_us: Several
    """It lasts less than this; and a move takes less than so much longer than expected."""
    strip_pixel_mm: Positive
    """Largest distance between the positions found by the strips and by the pixel chamber."""
    charge_ratio: Positive
    """Largest difference between the counts of a segmented chamber and of INT1, relative to INT1, over ..."""
    charge_counts: Several
    """... so many counts of INT1."""
    unsettled_spots: Several
    """The beam is paused when so many spots in a row end before the magnets have arrived."""
    excess_intensity: Positive
    """Beyond their prescription, a spot and what is left of a slice get less than so many times the counts
    that come at the nominal intensity while the beam is switched off."""
    beam_when_off_counts: Several
    """Counts of an integral chamber that are taken for beam after the chopper had its time, unless they come
    as slowly as background."""
    data_periods: Several
    """The beam is stopped when so many frames or samples of a chamber, or read-backs, in a row do not
    arrive."""
    watchdog_us: Several
    """Longest time without a sign of life of the fast control."""
    width_ratio: Positive | None = None
    """Largest relative difference between the width at the strips and that of the table of optics; None: the
    beam is not stopped for its width."""
    width_counts: Several = 1000
    """... over so many counts of a strip chamber, of one or several spots."""
    ring_ratio: Fraction = 0.07
    """Part of the particles that left the ring which the integral chambers may count too little; and ..."""
    ring_counts: Several = 100
    """... counts of INT1 beyond that part.  For accelerators with `ring_pulse_share`, as the next two."""
    ring_silence_us: Several = 5000
    """Longest time without a count of either integral chamber while chopper is open and ring charged."""
    intensity_floor: Fraction = 0.05
    """Smallest intensity in that time, relative to that of the slice."""
    spills_factor: Positive = 1.25
    """Spills that end with their extraction, and time with beam, may be so many times those that were
    predicted for what they have delivered; and ..."""
    excess_spills: Positive = 1.5
    """... less than so many spills, or the time of so many, beyond that."""


class SlowInterlocks(Facts, frozen=True, kw_only=True):
    """Tolerances of the slow control (Table 5), for every box."""

    temperature_C: tuple[float, float]
    """Lowest and highest gas temperature."""
    pressure_Pa: tuple[float, float]
    """Lowest and highest gas pressure."""
    high_voltage_V: tuple[float, float]
    """Lowest and highest high voltage."""
    period_s: Positive
    """Period of the checks."""
    gas_density_change: Positive
    """Largest relative change of the gas density of a box since particles were converted to counts."""
    silence_s: Positive
    """Longest time without a reading."""


class Optics(Facts, frozen=True, kw_only=True):
    """One setting of the beam optics, with its table of spot sizes.

    The CSV table has ``energy_MeV_u``, ``fwhm_x_mm`` and ``fwhm_y_mm`` (in air at the isocentre) and
    ``fwhm_box_x_mm`` and ``fwhm_box_y_mm`` (at the chambers).
    """

    focus: str
    """Name, as in Scan Spot Tune ID; the first optics of an ion is the default."""
    range_modulators: Whole = 0
    """Number of ripple filters that the sizes hold for."""
    table: str
    """Path of the CSV table, relative to the TOML file."""


class IonBeam(Facts, frozen=True, kw_only=True):
    """One ion species on this line.

    The CSV table of `energies` has ``energy_MeV_u``, ``range_mm`` (depth of the Bragg peak in water
    behind the nozzle), ``particles_per_count`` (particles whose ionization of an integral chamber
    is one count, at reference temperature and pressure); if plans come in monitor units,
    ``particles_per_MU``; and where the beam is not what its energy says, ``beam_MeV_u`` and
    ``beam_sigma_MeV_u`` (mean and standard deviation of its energy).
    """

    name: str
    """Name of the ion: proton, helium, carbon or oxygen."""
    energies: str
    """Path of the CSV table of energies, relative to the TOML file."""
    energy_selection: Literal["listed", "continuous"] = "listed"
    """Whether only the listed energies exist, or all between the first and the last."""
    energy_tolerance_MeV_u: NotNegative = 0.005
    """How far the energy of a plan may be from a listed one to be that one."""
    full_intensity_per_s: Positive
    """Particles per second at intensity level 1."""
    largest_intensity_per_s: Positive
    """Interlock: largest intensity (Table 4)."""
    minimum_particles_per_spot: NotNegative
    """Spots of a plan with less are refused."""
    centroid_counts: Several
    """Counts of a strip chamber that make its centre of gravity valid."""
    pixel_centroid_counts: Several
    """The same for the pixel chamber."""
    optics: tuple[Optics, ...]
    """Settings of the beam optics, the default one first."""
    momentum_spread_percent: NotNegative = 0.0
    """Full width at half maximum of the momentum distribution, which is Gaussian; where it changes with the
    energy, the column ``beam_sigma_MeV_u`` of the energies has the spread instead."""
    nozzle_mm: NotNegative = 0.0
    """Water-equivalent thickness of window, chambers and air, with which peaks lie at ``range_mm``."""
    library: str | None = None
    """Beam library with depth doses: name of a shipped one, or path of a file relative to the TOML file.
    Only a dose reads it: a line whose library is not there loads and delivers."""

    @property
    def ion(self) -> Ion:
        """The species."""
        return IONS[self.name]


class BeamLineFile(Facts, frozen=True, kw_only=True):
    """The TOML file, but for what is true in the simulated room."""

    schema: int
    """Version of the file format: 1."""
    name: Word
    """Short name, as in records and reports: letters, digits, and ``. _ -``."""
    title: str
    """One line for people."""
    version: str
    """Version of the figures; change it with every commissioning."""
    sources: dict[str, str]
    """Where the numbers come from, by the short codes that comments in the file use."""
    geometry: Geometry
    scanning: Scanning
    chambers: Chambers
    boxes: tuple[Box, ...]
    monitors: tuple[Monitor, ...]
    calibration: Calibration
    chopper: Chopper
    accelerator: Accelerator
    passive_elements: PassiveElements
    nozzle: Nozzle | None = None
    control: Control
    fast_interlocks: FastInterlocks
    slow_interlocks: SlowInterlocks
    ions: tuple[IonBeam, ...]

    def monitor(self, role: Role) -> Monitor | None:
        """The monitor that the control law uses for something; None if the line has none for it."""
        return next((monitor for monitor in self.monitors if monitor.role == role), None)

    @property
    def roles(self) -> frozenset[str]:
        """Roles of the control law that the line has monitors for."""
        return frozenset(monitor.role for monitor in self.monitors if monitor.role is not None)

    @property
    def monitors_without_role(self) -> tuple[Monitor, ...]:
        """What is recorded, and no interlock hangs on, in the order of the file: strip chambers."""
        return tuple(monitor for monitor in self.monitors if monitor.role is None)

    def box_number(self, role: Role) -> int:
        """Number of the box, from 1, in which the monitor of a role stands; 0 if the line has none for it."""
        monitor = self.monitor(role)
        return box_numbers(self.boxes)[monitor.box] if monitor is not None else 0

    def channels(self, role: Role) -> tuple[int, float]:
        """Channels (of a pixel chamber: per side) that the law reads for a role, and their pitch in mm.

        What is not there is read as one channel, of 1 mm, that counts nothing.
        """
        monitor = self.monitor(role)
        if monitor is None or monitor.channels is None or monitor.pitch_mm is None:
            return 1, 1.0
        return monitor.channels, monitor.pitch_mm

    @property
    def strips(self) -> tuple[int, float]:
        """Strips of each plane that the law reads, and their pitch in mm: the same in both planes."""
        return self.channels("strip_x" if self.monitor("strip_x") is not None else "strip_y")

    @property
    def pixels(self) -> tuple[int, float]:
        """Pixels per side of the chamber that the law reads, and their pitch in mm."""
        return self.channels("pixel")


class Description(BeamLineFile, frozen=True, kw_only=True):
    """The whole TOML file."""

    simulation: Simulation | None = None
    """What is true in the simulated room; a line without it has none."""
