"""The command ``spotline``: thin verbs over the Python interface.

Heavy imports stay inside the verbs, so that ``spotline --help`` answers at once.

May know every room and the pages; known to nobody.
"""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from spotline.faces.cli.beamline import beamline, beamlines
from spotline.faces.cli.campaign import campaign
from spotline.faces.cli.common import ABOUT, DELIVER, DOSE, PLAN, STATUS_BAD_INPUT
from spotline.faces.cli.continuation import continuation
from spotline.faces.cli.course import course
from spotline.faces.cli.deliver import deliver, replay
from spotline.faces.cli.dose import dose
from spotline.faces.cli.gamma import gamma
from spotline.faces.cli.library import library
from spotline.faces.cli.physics import physics
from spotline.faces.cli.plan import plan
from spotline.faces.cli.prepare import prepare
from spotline.faces.cli.resume import resume
from spotline.faces.cli.signals import leave, listen, status_of

app = App(
    name="spotline",
    help="An open dose delivery system for scanned ion beams. Research software, not a medical device.",
    help_format="plaintext",  # Markdown would take longer to import than everything else
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
# The groups of verbs bring their own headings.
app.command(plan)
app.command(prepare, group=PLAN)
app.command(continuation, group=PLAN)
app.command(deliver, group=DELIVER)
app.command(resume, group=DELIVER)
app.command(replay, group=DELIVER)
app.command(course)
app.command(campaign, group=DELIVER)
app.command(dose, group=DOSE)
app.command(gamma, group=DOSE)
app.command(beamline)
app.command(beamlines, show=False)
app.command(library)
app.command(physics)
app["--help"].group = app["--version"].group = ABOUT


def main() -> None:
    """Run the command line and leave with its status."""
    heard = listen()
    try:
        status = run(sys.argv[1:])
    except Exception:
        number = heard()
        if number is None:
            raise
        status = 128 + number
    if status > 128:
        leave(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str
        Without the name of the program.

    Returns
    -------
    int
        Exit status: 0 done, 1 not what it should be, 2 bad input, 3 stopped by an interlock, 130 interrupted
        (SIGINT), 143 terminated (SIGTERM).
    """
    from spotline.errors import SpotlineError

    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _fail(str(error).splitlines()[0].rstrip(".") + "; see spotline --help")
    except SpotlineError as error:
        return _fail(str(error))
    except OSError as error:
        # Names that no file system takes, folders that nobody may look into: whichever file was looked for.
        if error.filename is None:
            raise
        return _fail(f"{os.fsdecode(error.filename)}: {error.strerror}; check this name, and who may use it")
    except KeyboardInterrupt as interrupted:
        status = status_of(interrupted)
        print(f"spotline: {'terminated' if status == 143 else 'interrupted'}", file=sys.stderr)
    return status if isinstance(status, int) else 0


def _fail(message: str) -> int:
    print(f"spotline: {' '.join(message.split())}", file=sys.stderr)
    return STATUS_BAD_INPUT
