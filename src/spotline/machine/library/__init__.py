"""The beam library: depth doses, lateral shapes, LET and spectra of pencil beams in water.

`load_library` reads the one of an ion on a beam line; `spotline.machine.library.build` makes it by Monte
Carlo.

May know the line, and the physics that makes it.  Known to dose, planning, delivery, campaigns and faces; the
line itself does not know it.
"""

from __future__ import annotations

from spotline.machine.library.model import BeamLibrary, Entry, LibraryArrays
from spotline.machine.library.modifiers import Thickness, in_beam
from spotline.machine.library.store import load_library, read_library, shipped_libraries, write_library

__all__ = [
    "BeamLibrary",
    "Entry",
    "LibraryArrays",
    "Thickness",
    "in_beam",
    "load_library",
    "read_library",
    "shipped_libraries",
    "write_library",
]
