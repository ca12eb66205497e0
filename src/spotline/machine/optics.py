"""The beam between the vacuum window and the patient: what it crosses, and how wide it is anywhere.

What is published of a line is the size of its spots in air at the isocentre.  It says what the beam is like
where it leaves the vacuum, if two more things are given: its emittance, and where it would have its waist
without matter, which is taken to be the isocentre.  From there it is carried through everything in its way
with energy loss and multiple scattering (`spotline.physics.fermi_eyges`).  So spots behind a range shifter,
or in another plane than the isocentre, can be computed, for which no sizes are published.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import BeamLineError, OptionError
from spotline.machine.geometry import interpolate
from spotline.machine.load import BeamLine
from spotline.machine.model import Nozzle, NozzleLayer
from spotline.machine.monitors import Plane
from spotline.physics.fermi_eyges import Layer, Transported, propagate
from spotline.physics.materials import AIR, WATER, Material, material_named
from spotline.physics.phase_space import PhaseSpace
from spotline.units import FWHM_PER_SIGMA


def nozzle_layers(
    beamline: BeamLine, passive_elements: Sequence[str] = (), to_isocentre_mm: float = 0.0
) -> tuple[Layer, ...]:
    """What a beam crosses from the vacuum window to a plane, gaps filled with air.

    Parameters
    ----------
    beamline : BeamLine
        The line; it must describe its nozzle.
    passive_elements : sequence of str
        Names of the ripple filters and range shifters in the beam, in any order.
    to_isocentre_mm : float
        Distance of the plane from the isocentre, upstream positive.  What lies across the plane is cut there.

    Raises
    ------
    BeamLineError
        If the line has no nozzle, or an element no place in it.
    OptionError
        If there is no such element, or the plane is in the vacuum.
    """
    nozzle = _nozzle(beamline)
    if not to_isocentre_mm <= nozzle.window_to_isocentre_mm:
        raise OptionError(
            f"{beamline.name}: a plane {to_isocentre_mm:g} mm upstream of the isocentre is in the vacuum; "
            f"choose one below {nozzle.window_to_isocentre_mm:g} mm"
        )
    things = [
        (layer.upstream_mm, layer.length_mm or layer.thickness_mm, _material_of(layer))
        for layer in nozzle.layers
    ]
    thicknesses = _passive_elements(beamline)
    for name in passive_elements:
        if name not in thicknesses:
            known = ", ".join(thicknesses) or "none"
            raise OptionError(f"{beamline.name}: there is no passive element {name!r}; there are {known}")
        if name not in nozzle.passive_elements_mm:
            raise BeamLineError(
                f"{beamline.path}: nozzle.passive_elements_mm: {name!r} is missing; add its distance from "
                "the isocentre"
            )
        made_of = beamline.facts.passive_elements.made_of.get(name)
        if made_of is None:  # water-equivalent thickness is what is known of it, so it scatters like water
            things.append((nozzle.passive_elements_mm[name], thicknesses[name], WATER))
        else:
            material = material_named(made_of.material)
            things.append((nozzle.passive_elements_mm[name], made_of.thickness_mm, material))
    at = nozzle.window_to_isocentre_mm
    layers = []
    for upstream_mm, length_mm, material in sorted(things, key=lambda thing: -thing[0]):
        begin = max(min(upstream_mm, at), to_isocentre_mm)
        end = max(min(upstream_mm, at) - length_mm, to_isocentre_mm)
        layers += [Layer(AIR, at - begin), Layer(material, begin - end)]
        at = end
    layers.append(Layer(AIR, at - to_isocentre_mm))
    return tuple(layer for layer in layers if layer.thickness_mm > 0.0)


def window_phase_space(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: ArrayLike,
    plane: Plane,
    *,
    focus: str | None = None,
    range_modulators: Sequence[str] = (),
) -> PhaseSpace:
    """The beam in front of the vacuum window with which the spots at the isocentre come out as tabulated.

    Without matter it would have a waist at the isocentre, with the emittance that the line gives, over the
    beta gamma of the energy.  The size there is the tabulated one less, in quadrature, the scattering in
    all that the table includes: fixed layers, air and its ripple filters.

    Parameters
    ----------
    beamline : BeamLine
        The line; it must describe its nozzle.
    ion_name : str
        Ion of the beam.
    energy_MeV_u : array_like
        Kinetic energy per nucleon in the vacuum, within the table of spot sizes.
    plane : {"x", "y"}
        Which of the two.
    focus : str, optional
        Optics; by default the first of the ion.
    range_modulators : sequence of str
        Names of the ripple filters in the beam; their number chooses the table of spot sizes.

    Returns
    -------
    PhaseSpace
        Arrays of the shape of `energy_MeV_u`.

    Raises
    ------
    BeamLineError
        If the line has no nozzle, the nozzle no place or emittance for what is asked, or the tabulated spots
        are smaller than scattering alone makes them.
    OptionError
        If it has no such ion, optics or ripple filter, or an energy lies outside the table.
    """
    nozzle, energy = _nozzle(beamline), np.asarray(energy_MeV_u, dtype=float)
    beam = beamline.beam(ion_name)
    if beam is None:
        raise OptionError(
            f"{beamline.name}: there is no ion {ion_name!r}; there are {', '.join(beamline.ion_names)}"
        )
    for name in range_modulators:
        if name not in beamline.facts.passive_elements.range_modulators:
            known = ", ".join(beamline.facts.passive_elements.range_modulators) or "none"
            raise OptionError(f"{beamline.name}: there is no range modulator {name!r}; there are {known}")
    chosen = focus if focus is not None else beamline.foci(ion_name)[0]
    table = beamline.optics.get((ion_name, chosen, len(range_modulators)))
    if table is None:
        raise OptionError(
            f"{beamline.name}: there are no spot sizes of {ion_name} with focus {chosen!r} and "
            f"{len(range_modulators)} range modulators; add such a table to the line"
        )
    fwhm_mm = interpolate(energy, table.energy_MeV_u, table.fwhm_x_mm if plane == "x" else table.fwhm_y_mm)
    if not np.all(np.isfinite(fwhm_mm)):
        raise OptionError(
            f"{beamline.name}: an energy of {ion_name} lies outside the spot sizes, that hold from "
            f"{table.energy_MeV_u[0]:g} to {table.energy_MeV_u[-1]:g} MeV/u; use one within"
        )
    layers = nozzle_layers(beamline, range_modulators)
    scattered = propagate(PhaseSpace(0.0, 0.0), beam.ion, energy, layers).phase_space
    squared = (fwhm_mm / FWHM_PER_SIGMA) ** 2 - np.square(scattered.sigma_mm)
    if not np.all(squared > 0.0):
        worst = int(np.argmin(squared))
        raise BeamLineError(
            f"{beamline.path}: the nozzle scatters {ion_name} of {np.ravel(energy)[worst]:g} MeV/u to "
            f"{FWHM_PER_SIGMA * np.ravel(scattered.sigma_mm)[worst]:.2f} mm (full width at half maximum) at "
            f"the isocentre, but its spots are to have {np.ravel(fwhm_mm)[worst]:.2f} mm there; correct the "
            "thicknesses in the nozzle or the spot sizes"
        )
    if ion_name not in nozzle.emittance_mm_mrad:
        raise BeamLineError(
            f"{beamline.path}: nozzle.emittance_mm_mrad: {ion_name!r} is missing; add the emittance of that "
            "ion"
        )
    sigma_mm = np.sqrt(squared)
    gamma = 1.0 + energy * beam.ion.mass_number / beam.ion.mass_MeV
    emittance = nozzle.emittance_mm_mrad[ion_name] / np.sqrt(gamma**2 - 1.0)
    return PhaseSpace(sigma_mm, emittance / sigma_mm).drift(-nozzle.window_to_isocentre_mm)


def beam_at(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: ArrayLike,
    plane: Plane,
    *,
    focus: str | None = None,
    passive_elements: Sequence[str] = (),
    to_isocentre_mm: float = 0.0,
) -> Transported:
    """The beam in air at any plane behind the vacuum window.

    Parameters
    ----------
    beamline, ion_name, energy_MeV_u, plane, focus
        As for `window_phase_space`.
    passive_elements : sequence of str
        Names of the ripple filters and range shifters in the beam.
    to_isocentre_mm : float
        Distance of the plane from the isocentre, upstream positive.

    Returns
    -------
    Transported
        Moments and energy there, arrays of the shape of `energy_MeV_u`.

    Raises
    ------
    BeamLineError, OptionError
        As `window_phase_space` and `nozzle_layers`; also if the beam stops on its way.
    """
    known = beamline.facts.passive_elements.range_modulators
    modulators = [name for name in passive_elements if name in known]
    start = window_phase_space(
        beamline, ion_name, energy_MeV_u, plane, focus=focus, range_modulators=modulators
    )
    beam = beamline.beam(ion_name)
    assert beam is not None  # window_phase_space has found it
    layers = nozzle_layers(beamline, passive_elements, to_isocentre_mm)
    return propagate(start, beam.ion, energy_MeV_u, layers)


def spot_sigma_mm(
    beamline: BeamLine,
    ion_name: str,
    energy_MeV_u: ArrayLike,
    *,
    focus: str | None = None,
    passive_elements: Sequence[str] = (),
    to_isocentre_mm: float = 0.0,
) -> tuple[Floats, Floats]:
    """Standard deviation of a spot in air in x and y; parameters and errors as in `beam_at`."""
    x, y = (
        beam_at(
            beamline,
            ion_name,
            energy_MeV_u,
            plane,
            focus=focus,
            passive_elements=passive_elements,
            to_isocentre_mm=to_isocentre_mm,
        ).phase_space.sigma_mm
        for plane in ("x", "y")
    )
    return np.asarray(x), np.asarray(y)


def _nozzle(beamline: BeamLine) -> Nozzle:
    if beamline.facts.nozzle is None:
        raise BeamLineError(
            f"{beamline.path}: nozzle: is missing, and spots away from the isocentre need it; add the table"
        )
    return beamline.facts.nozzle


def _material_of(layer: NozzleLayer) -> Material:
    """Substance of a layer, so thin that it fills the length."""
    material = material_named(layer.material)
    if not layer.length_mm:
        return material
    density = material.density_g_cm3 * layer.thickness_mm / layer.length_mm
    return dataclasses.replace(material, density_g_cm3=density)


def _passive_elements(beamline: BeamLine) -> dict[str, float]:
    elements = beamline.facts.passive_elements
    return {**elements.range_modulators, **elements.range_shifters}
