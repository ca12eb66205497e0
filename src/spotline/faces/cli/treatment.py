"""What a verb is to deliver: a preparation on disk, or a plan that is prepared for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spotline.faces.cli.bars import preparation_bar

if TYPE_CHECKING:
    from spotline import Treatment


def treatment_to_deliver(
    plan: Path, beamline: str | None, field: int | None, quiet: bool, *, tolerant: bool = False
) -> Treatment:
    """Open the folder of a preparation, or read a plan and prepare it.

    Parameters
    ----------
    plan : Path
        The folder, or the file of the plan.
    beamline : str or None
        Name or path of a beam line; a preparation knows the name of its own.
    field : int or None
        Beam number of the only field to deliver.
    quiet : bool
        Show no progress.
    tolerant : bool
        Have a plan repaired that breaks the standard.

    Raises
    ------
    OptionError
        If a plan comes without a beam line.
    """
    import spotline
    from spotline.errors import OptionError
    from spotline.planning.prepared.open import prepared_for

    if plan.is_dir():
        line = spotline.load_beamline(beamline or prepared_for(plan))
        return spotline.open_preparation(plan, line, field=field)
    if beamline is None:
        raise OptionError("--beamline is missing: name the beam line to deliver the plan on")
    read, line = spotline.read_plan(plan, tolerant=tolerant), spotline.load_beamline(beamline)
    with preparation_bar(quiet) as progress:
        return spotline.prepare(read, line, field=field, progress=progress)
