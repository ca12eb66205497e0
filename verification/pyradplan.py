"""Forward dose by pyRadPlan of beams, stopping powers and beam libraries of ours.

pyRadPlan (DKFZ, after matRad) is no dependency of Spotline; install it beside it: ``pip install pyRadPlan``.
Everything here is for gantry and couch at 0 degrees, patient HFS.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from spotline.arrays import Floats
from spotline.dose.calibration import StoppingPower
from spotline.dose.engine.beams import FieldBeams
from spotline.dose.grid import DoseGrid
from spotline.machine.library import BeamLibrary, Entry
from spotline.machine.library.curve import ranges_of
from spotline.machine.library.grid import depth_edges_mm, middles
from spotline.machine.library.letd import LETD_GROUPS
from spotline.machine.library.model import N_GROUPS, stack
from spotline.physics.ions import Ion

MODES = {"proton": "protons", "helium": "helium", "carbon": "carbon", "oxygen": "oxygen"}
PER_WEIGHT = 1e6
"""Particles of a weight of 1."""
LARGEST_LATERAL_mm = 1e5
LATERAL_DEPTHS = 600
"""Points of the lateral shapes of a machine of theirs in a library of ours."""
DEFAULT_CUTOFF = 0.995
"""Share of the dose in each depth that is computed, by default."""


@dataclass(frozen=True, slots=True)
class Options:
    """How pyRadPlan computes.

    Attributes
    ----------
    lateral : str
        ``"single"``, or ``"double"`` with a halo.
    cutoff : float
        Share of the dose of a spot in each depth that is computed; the rest is put upon it as a factor.
    air : bool
        Whether the air from the nozzle of the machine to the surface shortens the way in the patient.
    """

    lateral: str = "double"
    cutoff: float = DEFAULT_CUTOFF
    air: bool = False


def shipped_machine(ion_name: str) -> Any:
    """The generic machine that comes with pyRadPlan."""
    from pyRadPlan.machines._load import load_from_name

    return load_from_name(MODES[ion_name], "Generic")


def one_halo(library: BeamLibrary) -> BeamLibrary:
    """The same library with one halo, of the share and the mean square of both."""
    arrays = library.arrays
    share = arrays.halo_share.sum(axis=-1)
    square = (arrays.halo_share * arrays.halo_mm**2).sum(axis=-1) / np.maximum(share, 1e-12)
    halo = np.where(share > 1e-9, np.sqrt(square), arrays.halo_mm[..., 0])
    merged = arrays._replace(
        halo_mm=np.stack([halo, halo], axis=-1), halo_share=np.stack([share, 0.0 * share], axis=-1)
    )
    return replace(library, arrays=merged)


def machine_of(ion_name: str, entries: Sequence[Entry], sigma_mm: Sequence[float], source_mm: float) -> Any:
    """A machine of pyRadPlan with depth doses and lateral shapes of ours.

    pyRadPlan takes one halo, so the entries should have only one (`one_halo`).  Its single Gaussian is our
    core.
    """
    from pyRadPlan.machines.particles import IonAccelerator
    from pyRadPlan.machines.particles._beam_focus import ChargedBeamFocus
    from pyRadPlan.machines.particles.kernel import IonPencilBeamKernel

    kernels, foci, peaks = {}, {}, []
    for entry, sigma in zip(entries, sigma_mm, strict=True):
        depth_mm = np.concatenate([[0.0], entry.depth_mm])
        idd = entry.dose_MeV_cm2_g(depth_mm)
        lateral = entry.lateral(depth_mm)
        energy = np.float64(entry.energy_MeV_u)
        peak = float(depth_mm[np.argmax(idd)])
        kernels[energy] = IonPencilBeamKernel(
            energy=energy,
            range=entry.range_mm,
            offset=0.0,
            depths=depth_mm,
            Z=idd,
            sigma=lateral.core_mm,
            sigma_1=lateral.core_mm,
            sigma_2=lateral.halo_mm[:, 0],
            weight=lateral.halo_share[:, 0],
            peak_pos=peak,
        )
        foci[energy] = [ChargedBeamFocus(dist=[0.0, 2.0 * source_mm], sigma=[sigma, sigma])]
        peaks.append(peak)
    return IonAccelerator(
        radiation_mode=MODES[ion_name],
        machine="Ours",
        SAD=source_mm,
        BAMStoIsoDist=0.5 * source_mm,
        LUTspotSize=[[0.0, LARGEST_LATERAL_mm], [1.0, 1.0]],
        energies=np.array(list(kernels)),
        peak_positions=np.array(peaks),
        foci=foci,
        pb_kernels=kernels,
    )


def library_of(ion: Ion, machine: Any, energies_MeV_u: Sequence[float], lateral: str) -> BeamLibrary:
    """Depth doses and lateral shapes of a machine of pyRadPlan as a library of ours, in as many points."""
    energies = np.asarray(machine.energies)
    chosen = sorted({float(energies[np.argmin(np.abs(energies - energy))]) for energy in energies_MeV_u})
    return BeamLibrary(
        {"ion": ion.name},
        stack([_entry_of(ion, machine.pb_kernels[np.float64(energy)], lateral) for energy in chosen]),
    )


def _entry_of(ion: Ion, kernel: Any, lateral: str) -> Entry:
    found = ranges_of(kernel.depths, kernel.idd)
    range_mm = found.R80_mm
    # Fine bins from before the peak to behind its edge: 80 % to 20 % is 1.3 standard deviations there.
    sigma_mm = found.distal_80_20_mm / 1.3
    depth_mm = middles(depth_edges_mm(range_mm, sigma_mm))
    dose = PchipInterpolator(kernel.depths, kernel.idd)(np.minimum(depth_mm, kernel.depths[-1]))
    dose = np.where(depth_mm <= kernel.depths[-1], dose, 0.0)
    lateral_mm = np.linspace(0.0, float(kernel.depths[-1]), LATERAL_DEPTHS)

    def at(values: Any) -> Floats:
        return np.asarray(np.interp(lateral_mm, kernel.depths, values))

    none = np.zeros(LATERAL_DEPTHS)
    single = lateral == "single"
    core, halo, share = (
        (at(kernel.sigma), none, none)
        if single
        else (at(kernel.sigma_1), at(kernel.sigma_2), at(kernel.weight))
    )
    zeros = np.zeros_like(depth_mm)
    return Entry(
        ion,
        float(kernel.energy),
        range_mm,
        sigma_mm,
        depth_mm,
        dose,
        np.zeros((0, len(dose))),
        zeros,
        np.zeros((len(LETD_GROUPS), len(dose))),
        np.zeros((len(LETD_GROUPS), len(dose))),
        lateral_mm,
        core,
        np.stack([halo, halo], axis=-1),
        np.stack([share, none], axis=-1),
        np.array([0.0, range_mm]),
        np.array([0.0, 1.0]),
        np.zeros((2, N_GROUPS, 1)),
    )


class Peer:
    """All that pyRadPlan is given before it computes, so that only its computing is timed.

    Parameters
    ----------
    power : StoppingPower
        What the beam meets; dose is computed on its grid.
    field : FieldBeams
        Spots; their sizes are those of the machine.
    machine : IonAccelerator
        As `machine_of` or `shipped_machine` makes it.
    options : Options
    """

    def __init__(self, power: StoppingPower, field: FieldBeams, machine: Any, options: Options) -> None:
        import SimpleITK
        from pyRadPlan.cst import create_cst, create_voi
        from pyRadPlan.ct import create_ct
        from pyRadPlan.plan import IonPlan

        if field.gantry_deg or field.patient_support_deg:
            raise ValueError("pyRadPlan is compared at gantry and couch 0 only")
        for name in ("pyRadPlan", "pyRadPlan.dose"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.grid, self.machine, self.options = power.grid, machine, options
        image = SimpleITK.GetImageFromArray(power.rsp.astype(np.float64))
        image.SetSpacing([float(v) for v in power.grid.spacing_mm])
        image.SetOrigin([float(v) for v in power.grid.origin_mm])
        self.ct = create_ct(cube_hu=image)
        body = (power.rsp > 0.0).astype(np.uint8)
        self.cst = create_cst(
            [create_voi(name="body", voi_type="EXTERNAL", mask=body, ct_image=self.ct)], ct=self.ct
        )
        mode = machine.radiation_mode
        self.plan = IonPlan(radiation_mode=mode, machine="Generic")
        self.steering = self._steering(field, mode)
        self.engine: Any = None

    def _steering(self, field: FieldBeams, mode: str) -> Any:
        """Spots of one place share a ray, which is what makes pyRadPlan fast."""
        from pyRadPlan.stf import Beam, Ray, SteeringInformation
        from pyRadPlan.stf._beamlet import IonSpot

        energies = np.asarray(self.machine.energies)
        places: Mapping[tuple[float, float], list[Any]] = defaultdict(list)
        for layer in field.layers:
            energy = float(energies[np.argmin(np.abs(energies - layer.energy_MeV_u))])
            spots = layer.spots
            for x, y, n in zip(spots.x_mm, spots.y_mm, spots.particles, strict=True):
                # At gantry 0 the x of a spot goes along x of the patient, and its y along z.
                spot = IonSpot(energy=energy, weight=float(n) / PER_WEIGHT)
                places[round(float(x), 6), round(float(y), 6)].append(spot)
        source = np.array([0.0, -self.machine.sad, 0.0])
        rays = []
        for (x, y), beamlets in places.items():
            at = np.array([x, 0.0, y])
            target = 2.0 * at - source
            rays.append(
                Ray(
                    beamlets=beamlets,
                    ray_pos_bev=at,
                    ray_pos=at,
                    target_point_bev=target,
                    target_point=target,
                )
            )
        beam = Beam(
            radiation_mode=mode,
            SAD=self.machine.sad,
            iso_center=np.array(field.isocentre_mm),
            ray=rays,
            source_point_bev=source,
            source_point=source,
        )
        return SteeringInformation(beams=[beam])

    def dose(self) -> DoseGrid:
        """Forward dose in Gy."""
        import SimpleITK
        from pyRadPlan.dose.engines import ParticleHongPencilBeamEngine

        engine = ParticleHongPencilBeamEngine(self.plan)
        engine.load_machine = lambda mode, name: self.machine
        engine.lateral_model = self.options.lateral
        engine.dosimetric_lateral_cutoff = self.options.cutoff
        engine.use_given_eq_density_cube = True
        engine.air_offset_correction = self.options.air
        engine.calc_let = False
        engine.dose_grid = self.ct.grid
        engine.track = lambda steps, **_: steps  # without a bar, which takes time
        result = engine.calc_dose_forward(self.ct, self.cst, self.steering, None)
        return DoseGrid(self.grid, SimpleITK.GetArrayFromImage(result["physical_dose"]).astype(np.float32))
