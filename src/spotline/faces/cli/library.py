"""The verbs of ``spotline library``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from spotline.faces.cli.bars import library_bar
from spotline.faces.cli.common import LOOK_UP, STATUS_DONE, Seed, Switch, WholeNumber, Words

if TYPE_CHECKING:
    from spotline.machine import BeamLine

library = App(name="library", group=LOOK_UP, help="Make the beam library of a line, or look at it.")

SYMBOLS = {"p": "proton", "he": "helium", "c": "carbon", "o": "oxygen"}


@library.command
def build(
    *,
    beamline: str,
    out: Path,
    ions: str | None = None,
    energies: str | None = None,
    area: Words = (),
    primaries: WholeNumber | None = None,
    threads: WholeNumber | None = None,
    seed: Seed = 0,
    quiet: Switch = False,
) -> int:
    """Simulate the depth doses, lateral shapes, LET and spectra of all energies of a line.

    Writes one file per ion, whole or not at all; those of ions that are done stay if a later one is stopped.

    Exit status: 0 written, 2 bad input.

    Parameters
    ----------
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
    out
        Folder for the files; made if there is none.  A file that exists already is not replaced.
    ions
        Names or symbols with commas between them, as in C,p; by default all ions of the line.
    energies
        Energies in MeV/u with commas between them; by default all of the line.
    area
        Name and radius in mm of an area in which the library has depth doses beside the field of 25 x 25 cm2,
        as in chamber:40.8, which is the default; may be given more than once.
    primaries
        Primaries per energy; by default 400 000 protons or carbon ions, 200 000 helium, 300 000 oxygen.
    threads
        By default one per processor; the figures do not depend on it.
    seed
        Of the random numbers.
    quiet
        Say nothing but errors.
    """
    import time
    from datetime import UTC, datetime

    import spotline
    from spotline.errors import OutputError
    from spotline.machine.library.areas import CHAMBER, check_areas, read_area
    from spotline.machine.library.build import Origin, Run, build_library
    from spotline.machine.library.nozzle import calibrate_nozzle
    from spotline.machine.library.store import SUFFIX, write_library

    line = spotline.load_beamline(beamline)
    areas = [read_area(text) for text in area] if area else [CHAMBER]
    check_areas(areas)
    chosen = [_ion(line, name) for name in ions.split(",")] if ions else list(line.ion_names)
    listed = _numbers("--energies", energies) if energies else None
    paths = {name: out / f"{_file_name(line, name)}{SUFFIX}" for name in dict.fromkeys(chosen)}
    for path in paths.values():
        if path.exists():
            raise OutputError(f"{path}: exists already; choose another folder or remove it first")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}); choose another place") from None
    for name, path in paths.items():
        began = time.monotonic()
        command = f"spotline library build --beamline {line.name} --ions {name} --seed {seed}"
        command += f" --energies {energies}" if energies else ""
        command += "".join(f" --area {text}" for text in area)
        command += f" --primaries {primaries}" if primaries else ""
        with library_bar(quiet, name) as progress:
            made = build_library(
                line,
                name,
                origin=Origin(datetime.now(UTC), command),
                energies_MeV_u=listed,
                areas=areas,
                primaries=primaries,
                seed=seed,
                run=Run(threads, progress),
            )
        try:
            write_library(made, path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
        if quiet:
            continue
        print(
            f"{path}: {len(made.energy_MeV_u)} energies of {name}, {made.facts.primaries} primaries "
            f"each, {path.stat().st_size / 1e6:.2f} MB, {time.monotonic() - began:.0f} s"
        )
        depths = line.range_mm(name, made.energy_MeV_u)
        if (depths == depths).all():
            fit = calibrate_nozzle(made, made.energy_MeV_u, depths)
            print(
                f"  peaks lie at the depths of the line with nozzle_mm = {fit.nozzle_mm:.3f}, "
                f"within {abs(fit.residual_mm).max():.3f} mm"
            )
    return STATUS_DONE


@library.command
def show(
    *,
    beamline: str = "cnao-h",
    ion: str | None = None,
    energy: float | None = None,
    ripple: str | None = None,
    range_shifter: str | None = None,
    file: Path | None = None,
    json: Switch = False,
    html: Path | None = None,
) -> int:
    """Show the beam library of a line: ranges and widths of all energies, or one energy in full.

    Depths are behind the nozzle of the line.

    Exit status: 0 shown, 2 bad input.

    Parameters
    ----------
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
    ion
        Name or symbol of an ion (p, He, C, O); by default the first of the line.
    energy
        Energy in MeV/u; by default all.
    ripple
        Names of ripple filters in the beam, with commas between them.
    range_shifter
        Names of range shifters in the beam, with commas between them.
    file
        Library to show instead of that which the line names.
    json
        Print JSON.
    html
        Write a page with pictures to this new file too.
    """
    import json as json_module

    import spotline
    from spotline.errors import LibraryError
    from spotline.hdf5 import keys_of
    from spotline.machine.library import overview
    from spotline.machine.library.store import load_library, read_library

    line = spotline.load_beamline(beamline)
    name = line.ion_names[0] if ion is None else _ion(line, ion)
    if html is not None:
        from spotline.faces.report.library_page import write_library_page
        from spotline.faces.report.page import check_new

        check_new(html)
    found = load_library(line, name) if file is None else read_library(file)
    if found.ion.name != name:
        raise LibraryError(
            f"{file}: is a library of {found.ion.name}, not of {name}; say --ion {found.ion.name}"
        )
    view = overview.library_overview(
        found,
        line,
        energy,
        range_modulators=_words(ripple),
        range_shifters=_words(range_shifter),
    )
    if html is not None:
        write_library_page(view, html)
    if json:
        shown = keys_of(overview.figures_of(view, in_full=energy is not None))
        print(json_module.dumps(shown, indent=2, allow_nan=False))
    else:
        from spotline.faces.cli.library_text import print_library

        print_library(view, in_full=energy is not None)
    return STATUS_DONE


def _ion(line: BeamLine, given: str) -> str:
    """Name of an ion from its name or symbol."""
    from spotline.errors import OptionError
    from spotline.tables import closest

    name = SYMBOLS.get(given.strip().lower(), given.strip().lower())
    if name not in line.ion_names:
        raise OptionError(f"ion {given.strip()!r}: {line.name} has no such; {closest(name, line.ion_names)}")
    return name


def _words(given: str | None) -> list[str]:
    return [] if given is None else [word.strip() for word in given.split(",") if word.strip()]


def _numbers(option: str, given: str) -> list[float]:
    from spotline.errors import OptionError

    try:
        return [float(word) for word in _words(given)]
    except ValueError:
        raise OptionError(f"{option}: {given!r} are no numbers; write them as 115.23,221.45") from None


def _file_name(line: BeamLine, ion_name: str) -> str:
    """Name under which the line looks for the library, or one that it could."""
    beam = line.beam(ion_name)
    assert beam is not None
    return Path(beam.library).stem if beam.library else f"{line.name}-{ion_name}"
