"""Structures as they are drawn: polygons in planes."""

from __future__ import annotations

from dataclasses import dataclass

from spotline.arrays import Floats
from spotline.dose.grid import Point
from spotline.errors import DoseError


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """A closed polygon in a transverse plane.

    Attributes
    ----------
    z_mm : float
    xy_mm : ndarray, shape (n, 2)
        Corners, n at least 3; the last is joined to the first.
    is_xor : bool
        Whether the file says that what contours of its plane have in common is outside (CLOSEDPLANAR_XOR).
    """

    z_mm: float
    xy_mm: Floats
    is_xor: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """A structure made of closed polygons.

    Attributes
    ----------
    number : int
        ROI Number.
    name : str
    kind : str
        RT ROI Interpreted Type (EXTERNAL, PTV, ORGAN and so on); empty if unknown.
    contours : tuple of Contour
        Those of one plane make holes and islands of each other: inside is what an odd number of them
        encloses.
    rsp : float, optional
        Stopping power relative to water that the file sets for the structure (REL_STOP_RATIO).
    """

    number: int
    name: str
    kind: str
    contours: tuple[Contour, ...]
    rsp: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """Structures of one patient.

    Attributes
    ----------
    structures : tuple of Structure
    points_mm : dict of str to tuple of three floats
        Structures that are a single point, by name: isocentres, markers.
    frame_of_reference_uid : str
    label : str
    notes : tuple of str
        Structures that cannot be used, each with the reason.
    """

    structures: tuple[Structure, ...]
    points_mm: dict[str, Point]
    frame_of_reference_uid: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()

    def named(self, name: str) -> Structure:
        """Find a structure by its name; capitals do not matter, unless it is by them that two differ.

        Raises
        ------
        DoseError
            If there is none, or more than one.
        """
        wanted = name.strip()
        found = [one for one in self.structures if one.name == wanted]
        if not found:
            found = [one for one in self.structures if one.name.casefold() == wanted.casefold()]
        if len(found) != 1:
            have = ", ".join(one.name for one in self.structures) or "none"
            what = f"{len(found)} structures are" if found else "no structure is"
            raise DoseError(f"structures: {what} named {name!r}; use one of: {have}")
        return found[0]
