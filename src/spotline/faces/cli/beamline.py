"""The verbs of ``spotline beamline``."""

from __future__ import annotations

import sys

from cyclopts import App

from spotline.faces.cli.common import LOOK_UP, STATUS_DIFFERENT, STATUS_DONE, Switch

beamline = App(name="beamline", group=LOOK_UP, help="Look at the beam lines, or check one.")


@beamline.command(name="list")
def list_lines() -> int:
    """List the shipped beam lines.

    Exit status: 0 listed.
    """
    import spotline

    for name in spotline.shipped_beamlines():
        line = spotline.load_beamline(name)
        print(f"{name}: {line.facts.title} ({', '.join(line.ion_names)})")
    return STATUS_DONE


def beamlines() -> int:
    """List the shipped beam lines: the old name of ``beamline list``.

    Exit status: 0 listed.
    """
    print("spotline: beamlines is now called beamline list", file=sys.stderr)
    return list_lines()


@beamline.command
def show(beamline: str, *, json: Switch = False) -> int:
    """Show what a beam line is: ions, energies, spot sizes, times, chambers, and where the figures are from.

    Exit status: 0 shown, 2 bad input.

    Parameters
    ----------
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
    json
        Print JSON.
    """
    import json as json_module

    import spotline
    from spotline.faces.cli.beamline_text import print_line
    from spotline.hdf5 import keys_of
    from spotline.machine.overview import figures_of

    figures = figures_of(spotline.load_beamline(beamline))
    if json:
        print(json_module.dumps(keys_of(figures), indent=2, allow_nan=False))
    else:
        print_line(figures)
    return STATUS_DONE


@beamline.command
def check(beamline: str) -> int:
    """Check a beam line, and say all that is wrong with it at once.

    Looks at the TOML file, all tables, the beam libraries, and whether nozzle and spot sizes go together.  A
    note tells what only a dose would miss: a library, the nozzle.

    Exit status: 0 nothing is wrong, 1 there are problems, 2 there is no such beam line.

    Parameters
    ----------
    beamline
        Name of a shipped beam line (spotline beamline list), or path of the folder or TOML file of another.
    """
    import spotline
    from spotline.machine.problems import lacks_for_dose
    from spotline.wording import several

    problems = spotline.check_beamline(beamline)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{several(len(problems), 'problem')} found")
        return STATUS_DIFFERENT
    line = spotline.load_beamline(beamline)
    for lack in lacks_for_dose(line):
        print(f"note: {lack}")
    print(f"{line.name}, version {line.facts.version}: nothing is wrong ({', '.join(line.ion_names)})")
    return STATUS_DONE
