"""The verbs of ``spotline plan``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from spotline.faces.cli.bars import optimisation_bar, preparation_bar
from spotline.faces.cli.common import PLAN, STATUS_DONE, Numbers, Switch, Tolerant, WholeNumber, Words

if TYPE_CHECKING:
    from spotline.arrays import Floats
    from spotline.machine import BeamLine
    from spotline.plan import Plan
    from spotline.planning.phantom_plan import Setup

plan = App(name="plan", group=PLAN, help="Look at a plan, or write one for quality assurance.")

Ion = Literal["proton", "helium", "carbon", "oxygen", "p", "He", "C", "O"]
BY_SYMBOL = {"p": "proton", "He": "helium", "C": "carbon", "O": "oxygen"}


@Parameter(name="*")
@dataclass(frozen=True)
class Beam:
    """With what beam a field is delivered, and how it is named.

    Parameters
    ----------
    beamline
        Beam line by name or path: energies, machine name and angle come from it, and a field that it
        cannot deliver is refused.
    focus
        Optics, as Scan Spot Tune ID; by default the first of the beam line.
    range_modulators
        Names of the ripple filters in the beam.
    gantry_angle
        IEC 61217 gantry angle in degrees; by default that of the beam line, or 0.
    label
        RT Plan Label; by default it says what the field is.
    """

    beamline: str | None = None
    focus: str | None = None
    range_modulators: Words = ()
    gantry_angle: float | None = None
    label: str | None = None

    def setup(self, ion: str, out: Path) -> Setup:
        """Load the beam line."""
        import spotline
        from spotline.planning.phantom_plan import Setup

        return Setup(
            ion=BY_SYMBOL.get(ion, ion),
            beamline=None if self.beamline is None else spotline.load_beamline(self.beamline),
            focus=self.focus,
            range_modulators=self.range_modulators,
            gantry_angle_deg=self.gantry_angle,
            label=self.label,
            path=out,
        )


DEFAULT_BEAM = Beam()


@plan.command
def show(
    plan: Path,
    *,
    beamline: str | None = None,
    field: WholeNumber | None = None,
    html: Path | None = None,
    tolerant: Tolerant = False,
) -> int:
    """Show what is in a plan: fields, layers, spots, particles, and with a beam line time and problems.

    Exit status: 0 shown (with or without problems), 2 bad input.

    Parameters
    ----------
    plan
        DICOM RT Ion Plan, prepared or not, or TRiP98 raster-scan file (.rst).
    beamline
        Beam line by name or path: adds ranges, what speaks against the delivery, and else how the field
        will be delivered and how long that takes.
    field
        Beam number of the only field to show.
    html
        Write a page with spot maps to this new file too.
    """
    import spotline
    from spotline.faces.cli.plan_text import print_overview
    from spotline.planning.overview import plan_overview

    if html is not None:
        from spotline.faces.report.page import check_new
        from spotline.faces.report.plan_page import write_plan_page

        check_new(html)
    read = spotline.read_plan(plan, tolerant=tolerant)
    line = None if beamline is None else spotline.load_beamline(beamline)
    with preparation_bar(quiet=line is None) as progress:
        view = plan_overview(read, line, field=field, progress=progress)
    if html is not None:
        with _drawing():
            write_plan_page(view, html)
    print_overview(view)
    return STATUS_DONE


@contextmanager
def _drawing() -> Iterator[None]:
    """Say on a terminal that pictures are drawn."""
    import sys

    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("drawing the spots"):
        yield


@plan.command
def uniform(
    *,
    ion: Ion,
    energy: Numbers,
    out: Path,
    size: str = "60",
    spacing: float | None = None,
    particles: float | None = None,
    beam: Beam = DEFAULT_BEAM,
) -> int:
    """Write a uniform field: a square or rectangle of equal spots.

    Exit status: 0 written, 2 bad input (nothing written).

    Parameters
    ----------
    ion
        What is delivered.
    energy
        Kinetic energy in MeV/u; several make a layer each.
    out
        New DICOM file.
    size
        Side in mm, or both sides as in 60x40.
    spacing
        Distance between spots in mm; by default 3 for protons, 2 for carbon.
    particles
        Ions per spot; by default 1e8 protons, 2e6 carbon ions.
    """
    from spotline.planning.qa_fields import uniform_plan

    setup = beam.setup(ion, out)
    made = uniform_plan(setup, energy, size_mm=_sides_mm(size), spacing_mm=spacing, particles=particles)
    return _write(made, out, setup.beamline)


@plan.command
def pattern(
    *,
    ion: Ion,
    energy: Numbers,
    out: Path,
    distance: float = 80.0,
    particles: float | None = None,
    beam: Beam = DEFAULT_BEAM,
) -> int:
    """Write the pattern of nine spots that checks the deflection across the field.

    Exit status: 0 written, 2 bad input (nothing written).

    Parameters
    ----------
    ion
        What is delivered.
    energy
        Kinetic energy in MeV/u; several make a layer each.
    out
        New DICOM file.
    distance
        Distance of the outer spots from the axis in x and y, in mm.
    particles
        Ions per spot; by default 1e8 protons, 2e6 carbon ions.
    """
    from spotline.planning.qa_fields import pattern_plan

    setup = beam.setup(ion, out)
    made = pattern_plan(setup, energy, distance_mm=distance, particles=particles)
    return _write(made, out, setup.beamline)


@plan.command
def line(
    *,
    ion: Ion,
    out: Path,
    energy: Numbers = (),
    every: WholeNumber = 1,
    particles: float | None = None,
    beam: Beam = DEFAULT_BEAM,
) -> int:
    """Write spots on the axis, one for each energy.

    Exit status: 0 written, 2 bad input (nothing written).

    Parameters
    ----------
    ion
        What is delivered.
    out
        New DICOM file.
    energy
        Kinetic energies in MeV/u; by default all of the beam line.
    every
        Take only every n-th energy of the beam line.
    particles
        Ions per spot; by default 1e8 protons, 2e6 carbon ions.
    """
    from spotline.planning.qa_fields import line_plan

    setup = beam.setup(ion, out)
    made = line_plan(setup, energy or None, every=every, particles=particles)
    return _write(made, out, setup.beamline)


@plan.command
def cube(
    *,
    ion: Ion,
    out: Path,
    size: Annotated[float, Parameter(name=("--size-mm", "--size"))] = 60.0,
    depth: Annotated[float, Parameter(name=("--depth-mm", "--depth"))] = 150.0,
    dose: Annotated[float, Parameter(name=("--dose-Gy", "--dose"))] = 1.0,
    spacing: Annotated[float | None, Parameter(name=("--spacing-mm", "--spacing"))] = None,
    rbe: str | None = None,
    library: Path | None = None,
    quiet: Switch = False,
    beam: Beam = DEFAULT_BEAM,
) -> int:
    """Write a cube of homogeneous dose in water, optimised with the beam library of the line.

    Exit status: 0 written, 2 bad input (nothing written).

    Parameters
    ----------
    ion
        What is delivered.
    out
        New DICOM file.
    size
        Side of the cube in mm.
    depth
        Depth of its centre in water in mm, which is the isocentre.
    dose
        Physical dose in Gy, or RBE-weighted dose with --rbe.
    spacing
        Distance between spots in mm; by default 3 for protons, 2 for carbon.
    rbe
        Model of the RBE by name or file (constant, wedenberg, mcnamara, carabe, mkm, mkm-low-let); by
        default the dose is physical.
    library
        File of a beam library; by default that of the line.
    quiet
        Say nothing but errors.
    """
    from spotline.dose.rbe import rbe_model
    from spotline.machine.library import read_library
    from spotline.planning.cubes import Cube, cube_plan

    setup = beam.setup(ion, out)
    with optimisation_bar(quiet) as progress:
        made, found = cube_plan(
            setup,
            Cube(size_mm=size, depth_mm=depth, dose_Gy=dose, spacing_mm=spacing),
            library=None if library is None else read_library(library),
            rbe=None if rbe is None else rbe_model(rbe),
            progress=progress,
        )
    _write_plan(made, out, setup.beamline)
    if not quiet:
        inside = found.dose_Gy[found.target] / dose
        (field,) = made.fields
        print(
            f"{out}: {len(field.layers)} layers, {field.n_spots} spots, {field.meterset:.4g} particles "
            f"({field.ion.name})\n"
            f"  dose in the cube {inside.min():.1%} to {inside.max():.1%} of {dose:g} Gy, "
            f"mean {inside.mean():.1%}, {_share_within(inside):.1%} of the points within 2 %"
        )
    return STATUS_DONE


def _share_within(inside: Floats) -> float:
    """Share of points within 2 % of what is wanted."""
    return float((abs(inside - 1.0) <= 0.02).mean())


def _sides_mm(size: str) -> tuple[float, float]:
    """Read ``60`` or ``60x40``."""
    from spotline.errors import OptionError

    try:
        sides = [float(side) for side in size.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise OptionError(f"--size: {size!r} is no size: give a side in mm, or both as in 60x40")
    return sides[0], sides[-1]


def _write(made: Plan, out: Path, line: BeamLine | None) -> int:
    """Write a plan of equal spots and say what is in it."""
    from spotline.wording import several

    _write_plan(made, out, line)
    (field,) = made.fields
    first = field.layers[0]
    print(
        f"{out}: {several(len(field.layers), 'layer')} of {several(first.n_spots, 'spot')}, "
        f"{first.meterset[0]:g} particles ({field.ion.name}) each"
    )
    return STATUS_DONE


def _write_plan(made: Plan, out: Path, line: BeamLine | None) -> None:
    from spotline.dicom.write_plan import SOURCE_AXIS_DISTANCES_mm, write_ion_plan

    geometry = None if line is None else line.facts.geometry
    write_ion_plan(
        made,
        out,
        source_axis_distances_mm=SOURCE_AXIS_DISTANCES_mm
        if geometry is None
        else (geometry.x_source_to_isocentre_mm, geometry.y_source_to_isocentre_mm),
    )
