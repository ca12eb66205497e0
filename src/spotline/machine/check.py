"""What must agree within one beam line: checks that look at more than one figure.

Each check yields sentences ``key: what is wrong; what to do``.  `spotline.machine.load_beamline` raises the
first, `spotline.machine.problems.check_beamline` returns all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from spotline.errors import OptionError
from spotline.machine.geometry import current_A, project_to_chamber_mm
from spotline.machine.model import BeamLineFile, Control, Description, IonBeam
from spotline.machine.monitors import Plane, check_monitors
from spotline.physics.ions import IONS
from spotline.physics.materials import MATERIALS, material_named
from spotline.tables import EnergyTable, GainMap, OpticsTable, closest
from spotline.units import ABSOLUTE_ZERO_C

CYCLE_CODE_CHOICES = 16
"""Foci of an ion, and intensity levels, that a cycle-code can tell apart."""
CYCLE_CODE_STEP_MeV_u = 0.01
"""Step in which a cycle-code holds the energy."""

SCHEMA = 1
"""Version of the file format that this program reads."""


def check_facts(facts: Description) -> Iterator[str]:
    """Check the TOML file by itself."""
    if facts.schema != SCHEMA:
        yield f"schema: {facts.schema} is not known; this version of Spotline reads schema {SCHEMA}"
    yield from _check_geometry(facts)
    yield from check_monitors(facts.boxes, facts.monitors)
    yield from _check_places(facts)
    yield from _check_chamber_area(facts)
    yield from _check_gains(facts)
    yield from _check_accelerator(facts)
    yield from _check_rates(facts.control)
    yield from _check_tolerances(facts)
    yield from _check_ions(facts)
    yield from _check_passive_elements(facts)
    yield from _check_nozzle(facts)


def check_energies(facts: BeamLineFile, beam_index: int, table: EnergyTable) -> Iterator[str]:
    """Check the energies of an ion against magnets and tolerance."""
    beam = facts.ions[beam_index]
    rigidity = beam.ion.rigidity_T_m(float(table.energy_MeV_u[-1]))
    planes = (
        ("x", facts.scanning.x, facts.geometry.x_source_to_isocentre_mm, facts.geometry.field_x_mm),
        ("y", facts.scanning.y, facts.geometry.y_source_to_isocentre_mm, facts.geometry.field_y_mm),
    )
    for plane, axis, source, field in planes:
        needed = float(current_A(field / 2.0, source, rigidity, axis.integral_field_mT_m_per_A))
        if needed > axis.current_limit_A:
            yield (
                f"scanning.{plane}.current_limit_A: {axis.current_limit_A:g} A do not reach "
                f"{field / 2.0:g} mm with {beam.name} of {table.energy_MeV_u[-1]:g} MeV/u, which needs "
                f"{needed:.1f} A; raise the limit or reduce geometry.field_{plane}_mm"
            )
    largest = facts.accelerator.largest_energy_MeV_u
    if table.energy_MeV_u[-1] > largest:
        yield (
            f"accelerator.degrader.energy_MeV_u: {largest:g} is below the {table.energy_MeV_u[-1]:g} MeV/u "
            f"of {beam.name} in {beam.energies}, and a degrader only takes energy; correct one of the two"
        )
    if len(table.energy_MeV_u) > 1:
        spacing = float((table.energy_MeV_u[1:] - table.energy_MeV_u[:-1]).min())
        if beam.energy_selection == "listed" and 2.0 * beam.energy_tolerance_MeV_u >= spacing:
            yield (
                f"ions[{beam_index}].energy_tolerance_MeV_u: {beam.energy_tolerance_MeV_u:g} makes energies "
                f"of {beam.energies} ambiguous, that lie {spacing:.3g} MeV/u apart; use less than half of it"
            )


def check_cycle_energies(where: str, beam: IonBeam, table: EnergyTable) -> Iterator[str]:
    """Check that the accelerator can be asked for the energies, in steps that stay within the table."""
    energies = table.energy_MeV_u.tolist()
    steps = [energy / CYCLE_CODE_STEP_MeV_u for energy in energies]
    for end in (0, -1):
        if abs(steps[end] - round(steps[end])) > 1e-6:
            yield (
                f"{where}: the {'last' if end else 'first'} energy_MeV_u, {energies[end]:.10g}, is not a "
                f"multiple of {CYCLE_CODE_STEP_MeV_u:g}, the step in which the accelerator is asked for "
                "energies; round it"
            )
    for k, (below, above) in enumerate(itertools.pairwise(steps)):
        if beam.energy_selection == "listed" and round(below) == round(above):
            yield (
                f"{where}: energy_MeV_u {energies[k]:.10g} and {energies[k + 1]:.10g} are the same in steps "
                f"of {CYCLE_CODE_STEP_MeV_u:g}, in which the accelerator is asked for energies; leave out one"
            )


def check_optics(where: str, optics: OpticsTable, energies: EnergyTable) -> Iterator[str]:
    """Check that a table of spot sizes covers the energies of its ion."""
    first, last = energies.energy_MeV_u[0], energies.energy_MeV_u[-1]
    if optics.energy_MeV_u[0] > first or optics.energy_MeV_u[-1] < last:
        yield (
            f"{where}: covers {optics.energy_MeV_u[0]:g}..{optics.energy_MeV_u[-1]:g} MeV/u, but the ion has "
            f"{first:g}..{last:g} MeV/u; extend the table"
        )


def check_gain_map(key: str, gain_map: GainMap, facts: BeamLineFile) -> Iterator[str]:
    """Check that a gain map covers the field."""
    for plane, grid, field in (
        ("x", gain_map.x_iso_mm, facts.geometry.field_x_mm),
        ("y", gain_map.y_iso_mm, facts.geometry.field_y_mm),
    ):
        if grid[0] > -field / 2.0 or grid[-1] < field / 2.0:
            yield (
                f"calibration.{key}: the map reaches from {grid[0]:g} to {grid[-1]:g} mm in {plane}, but the "
                f"field from {-field / 2.0:g} to {field / 2.0:g} mm; extend the map"
            )


def _check_geometry(facts: BeamLineFile) -> Iterator[str]:
    geometry = facts.geometry
    if bool(geometry.gantry_angles_deg) == (geometry.gantry_range_deg is not None):
        yield (
            "geometry: there are "
            + (
                "both gantry_angles_deg and"
                if geometry.gantry_angles_deg
                else "neither gantry_angles_deg nor"
            )
            + " gantry_range_deg; give the first for a fixed line or the second for a rotating gantry"
        )
    for angle in geometry.gantry_angles_deg:
        if not 0.0 <= angle < 360.0:
            yield f"geometry.gantry_angles_deg: {angle:g} is not an IEC 61217 angle; use 0 to 360 without 360"
    if geometry.gantry_range_deg is not None:
        low, high = geometry.gantry_range_deg
        if not low < high or high - low > 360.0:
            yield (
                f"geometry.gantry_range_deg: {low:g} to {high:g} is no range; "
                "give the lower angle first and the higher at most 360 above"
            )


def _check_places(facts: BeamLineFile) -> Iterator[str]:
    """Monitors stand between the magnets and the isocentre, one behind the other."""
    source = min(facts.geometry.x_source_to_isocentre_mm, facts.geometry.y_source_to_isocentre_mm)
    gaps = []
    for index, monitor in enumerate(facts.monitors):
        at_mm, gap_mm = monitor.distance_mm, monitor.gap_mm
        where = f"monitors[{index}]"
        if at_mm >= source:
            yield (
                f"{where}.distance_mm: {at_mm:g} mm is not downstream of the last "
                f"scanning magnet at {source:g} mm; correct one of the two"
            )
        elif at_mm <= 0.0:
            yield (
                f"{where}.distance_mm: {at_mm:g} mm is not upstream of the isocentre; give the distance from "
                "there towards the source, above 0"
            )
        elif gap_mm / 2.0 >= min(at_mm, source - at_mm):
            yield (
                f"{where}.gap_mm: a gap of {gap_mm:g} mm about {at_mm:g} mm does not fit between the last "
                f"scanning magnet at {source:g} mm and the isocentre; correct one of them"
            )
        else:
            gaps.append((at_mm + gap_mm / 2.0, at_mm - gap_mm / 2.0, where, monitor.name))
    gaps.sort(key=lambda gap: gap[0], reverse=True)
    for (_, end, _, name), (begin, _, where, other) in itertools.pairwise(gaps):
        if begin > end:
            yield (
                f"{where}.distance_mm: the gap of {other} begins at {begin:g} mm, where that of {name} is, "
                f"which ends at {end:g} mm; move one of them"
            )


def _check_chamber_area(facts: BeamLineFile) -> Iterator[str]:
    geometry = facts.geometry
    planes: tuple[tuple[Plane, float], ...] = (("x", geometry.field_x_mm), ("y", geometry.field_y_mm))
    for monitor, (plane, field) in itertools.product(facts.monitors, planes):
        if monitor.kind == "integral" or monitor.plane not in (None, plane) or monitor.width_mm == 0.0:
            continue
        source = geometry.source_to_isocentre_mm(plane)
        needed = float(project_to_chamber_mm(field, source, monitor.distance_mm))
        if needed > monitor.width_mm:
            elements = "pixels" if monitor.kind == "pixel" else "strips"
            yield (
                f"monitors: {monitor.name} is {monitor.width_mm:g} mm wide, but the field in {plane} is "
                f"{needed:.1f} mm wide there; use more or wider {elements}, or reduce "
                f"geometry.field_{plane}_mm"
            )


def _check_gains(facts: Description) -> Iterator[str]:
    if facts.simulation is None:
        return
    known = [monitor.name for monitor in facts.monitors_without_role]
    for name in facts.simulation.chambers.gains:
        if name not in known:
            hint = closest(name, known) if known else "there are none; remove the key"
            yield f"simulation.chambers.gains.{name}: is no monitor without a role; {hint}"


def _check_passive_elements(facts: Description) -> Iterator[str]:
    elements = facts.passive_elements
    known = elements.range_shifters.keys() | elements.range_modulators.keys()
    for name, made_of in elements.made_of.items():
        key = f"passive_elements.made_of.{name}"
        if name not in known:
            hint = closest(name, known) if known else "there are none; remove the key"
            yield f"{key}: is no range shifter or range modulator of the line; {hint}"
        try:
            material_named(made_of.material)
        except OptionError:
            yield (
                f"{key}.material: {made_of.material!r} is not a material that Spotline knows; "
                f"{closest(made_of.material, MATERIALS)}"
            )


def _check_nozzle(facts: BeamLineFile) -> Iterator[str]:
    nozzle = facts.nozzle
    if nozzle is None:
        return
    known = facts.passive_elements.range_shifters.keys() | facts.passive_elements.range_modulators.keys()
    for name in nozzle.passive_elements_mm:
        if name not in known:
            hint = closest(name, known)
            yield f"nozzle.passive_elements_mm.{name}: is no passive element of the line; {hint}"
    for name in nozzle.emittance_mm_mrad:
        if name not in IONS:
            yield f"nozzle.emittance_mm_mrad.{name}: is not an ion that Spotline knows; {closest(name, IONS)}"
    places = {f"passive_elements_mm.{name}": at for name, at in nozzle.passive_elements_mm.items()}
    for index, layer in enumerate(nozzle.layers):
        places[f"layers[{index}].upstream_mm"] = layer.upstream_mm
        try:
            material_named(layer.material)
        except OptionError:
            yield (
                f"nozzle.layers[{index}].material: {layer.material!r} is not a material that Spotline knows; "
                f"{closest(layer.material, MATERIALS)}"
            )
    for key, at in places.items():
        if at > nozzle.window_to_isocentre_mm:
            yield (
                f"nozzle.{key}: {at:g} mm is in the vacuum, that ends at window_to_isocentre_mm "
                f"{nozzle.window_to_isocentre_mm:g}; correct one of the two"
            )
    ends = sorted(
        (layer.upstream_mm, layer.upstream_mm - (layer.length_mm or layer.thickness_mm), layer.name)
        for layer in nozzle.layers
    )
    for (upstream, _, name), (_, downstream, other) in itertools.pairwise(ends):
        if downstream < upstream:
            yield (
                f"nozzle.layers: {other!r} reaches to {downstream:g} mm, where {name!r} is that begins at "
                f"{upstream:g} mm; move or shorten one of them"
            )


def _check_accelerator(facts: BeamLineFile) -> Iterator[str]:
    for problem in facts.accelerator.problems():
        yield f"accelerator.{problem}"
    levels = facts.accelerator.intensity_levels
    if len(levels) > CYCLE_CODE_CHOICES:
        yield (
            f"accelerator.intensity_levels: {len(levels)} are more than the {CYCLE_CODE_CHOICES} that a "
            "cycle-code can tell apart; leave some out"
        )


def _check_rates(control: Control) -> Iterator[str]:
    pairs = (("scan_period_us", "strip_period_us"), ("strip_period_us", "pixel_period_us"))
    for fast, slow in pairs:
        fast_us, slow_us = getattr(control, fast), getattr(control, slow)
        if slow_us % fast_us:
            yield f"control.{slow}: {slow_us} us is no multiple of {fast} {fast_us} us; make it one"
    if control.recovery_period_us % 1000:
        yield (
            f"control.recovery_period_us: {control.recovery_period_us} us is no whole number of "
            "milliseconds, in which the fast loop runs; make it one"
        )
    if control.recovery_credit <= 1.0:
        yield (
            f"control.recovery_credit: {control.recovery_credit:g} would pause every spill at its nominal "
            "intensity; make it larger than 1"
        )


def _check_tolerances(facts: Description) -> Iterator[str]:
    fast, period_us = facts.fast_interlocks, facts.control.scan_period_us
    for key in ("watchdog_us", "current_us"):
        if getattr(fast, key) <= period_us:
            yield (
                f"fast_interlocks.{key}: {getattr(fast, key)} us is not longer than control.scan_period_us "
                f"{period_us} us, in which it is checked; raise it"
            )
    slow = facts.slow_interlocks
    for key in ("temperature_C", "pressure_Pa", "high_voltage_V"):
        low, high = getattr(slow, key)
        if low >= high:
            yield f"slow_interlocks.{key}: {low:g} to {high:g} is no range; give the lower limit first"
    if slow.silence_s <= slow.period_s:
        yield (
            f"slow_interlocks.silence_s: {slow.silence_s:g} s is not longer than period_s "
            f"{slow.period_s:g} s, and readings do not come more often; make it longer"
        )
    low, high = slow.high_voltage_V
    for box in facts.boxes:
        if not low <= box.high_voltage_V <= high:
            yield (
                f"slow_interlocks.high_voltage_V: the nominal high_voltage_V of {box.name}, "
                f"{box.high_voltage_V:g} V, lies outside {low:g} to {high:g} V; correct one of the two"
            )
    temperatures_C = {"chambers.reference_temperature_C": facts.chambers.reference_temperature_C}
    if facts.simulation is not None:
        temperatures_C["simulation.gas.temperature_C"] = facts.simulation.gas.temperature_C
    for key, temperature in temperatures_C.items():
        if temperature <= ABSOLUTE_ZERO_C:
            yield f"{key}: {temperature:g} C is below absolute zero; give degrees Celsius"


def _check_ions(facts: BeamLineFile) -> Iterator[str]:
    if not facts.ions:
        yield "ions: there are none; add an [[ions]] table"
    names = [beam.name for beam in facts.ions]
    for index, beam in enumerate(facts.ions):
        where = f"ions[{index}]"
        if beam.name not in IONS:
            yield f"{where}.name: {beam.name!r} is not an ion that Spotline knows; {closest(beam.name, IONS)}"
            continue
        if names.index(beam.name) != index:
            yield f"{where}.name: {beam.name!r} stands there twice; join the two tables"
        yield from _check_beam(where, beam)


def _check_beam(where: str, beam: IonBeam) -> Iterator[str]:
    if beam.largest_intensity_per_s <= beam.full_intensity_per_s:
        yield (
            f"{where}.largest_intensity_per_s: the interlock at {beam.largest_intensity_per_s:g}/s would "
            f"always act at full_intensity_per_s {beam.full_intensity_per_s:g}/s; raise it"
        )
    if not beam.optics:
        yield f"{where}.optics: there are none; add at least one"
    foci = {optics.focus for optics in beam.optics}
    if len(foci) > CYCLE_CODE_CHOICES:
        yield (
            f"{where}.optics: {len(foci)} foci are more than the {CYCLE_CODE_CHOICES} that a cycle-code can "
            "tell apart; leave some out"
        )
    keys = [(optics.focus, optics.range_modulators) for optics in beam.optics]
    for index, key in enumerate(keys):
        if keys.index(key) != index:
            yield (
                f"{where}.optics[{index}]: focus {key[0]!r} with {key[1]} range modulators stands there "
                "twice; rename or remove one"
            )
