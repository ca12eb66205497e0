"""Ions by the names that people give them."""

from __future__ import annotations

from spotline.errors import OptionError
from spotline.physics.ions import IONS, Ion
from spotline.physics.nuclei import SPECIES

_OTHER_NAMES = {"p": "1H", "alpha": "4He", "d": "2H", "t": "3H"}


def ion_named(name: str) -> Ion:
    """Find an ion by its name ("carbon", "carbon-11"), symbol ("12C", "C12", "C-12") or letter ("p", "d").

    A chemical symbol alone ("C") means the nuclide that is used as a beam.  Capitals do not matter.

    Parameters
    ----------
    name : str
        What to look for.

    Returns
    -------
    Ion
        One of `spotline.physics.nuclei.SPECIES`.

    Raises
    ------
    OptionError
        If there is none of this name.
    """
    wanted = name.strip().replace("-", "").casefold()
    wanted = _OTHER_NAMES.get(wanted, wanted).casefold()
    for ion in SPECIES:
        element = ion.symbol.lstrip("0123456789")
        names = {ion.name.replace("-", ""), ion.symbol, f"{element}{ion.mass_number}"}
        if ion in IONS.values():
            names.add(element)
        if wanted in {each.casefold() for each in names}:
            return ion
    symbols = ", ".join(ion.symbol for ion in SPECIES)
    raise OptionError(f"there is no ion {name!r}; use one of {', '.join(IONS)}, or of {symbols}")
