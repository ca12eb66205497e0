"""The command ``spotline``: thin verbs over the Python interface.

Heavy imports stay inside the verbs, so that ``spotline --help`` answers at once.
"""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from spotline.faces.cli.campaign import campaign
from spotline.faces.cli.common import STATUS_BAD_INPUT
from spotline.faces.cli.continuation import continuation
from spotline.faces.cli.deliver import deliver, replay
from spotline.faces.cli.dose import dose
from spotline.faces.cli.gamma import gamma
from spotline.faces.cli.library import library
from spotline.faces.cli.physics import physics
from spotline.faces.cli.plan import plan
from spotline.faces.cli.prepare import prepare
from spotline.faces.cli.resume import resume

app = App(
    name="spotline",
    help="An open dose delivery system for scanned ion beams. Research software, not a medical device.",
    help_format="plaintext",  # Markdown would take longer to import than everything else
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(prepare)
app.command(deliver)
app.command(resume)
app.command(replay)
app.command(continuation)
app.command(campaign)
app.command(plan)
app.command(physics)
app.command(library)
app.command(gamma)
app.command(dose)


def main() -> None:
    """Run the command line and leave with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str
        Without the name of the program.

    Returns
    -------
    int
        Exit status: 0 done, 1 not what it should be, 2 bad input, 3 stopped by an interlock.
    """
    from spotline.errors import SpotlineError

    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _fail(str(error).splitlines()[0].rstrip(".") + "; see spotline --help")
    except SpotlineError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("spotline: interrupted", file=sys.stderr)
        return 130
    return status if isinstance(status, int) else 0


def _fail(message: str) -> int:
    print(f"spotline: {' '.join(message.split())}", file=sys.stderr)
    return STATUS_BAD_INPUT


@app.command
def beamlines() -> None:
    """List the shipped beam lines."""
    import spotline

    for name in spotline.shipped_beamlines():
        line = spotline.load_beamline(name)
        print(f"{name}: {line.facts.title} ({', '.join(line.ion_names)})")
