"""Read a TRiP98 raster scan file (``.rst``), a plan of one field.

The file is text: a header of ``keyword value`` lines, then for every energy ("submachine") a few
keywords and one line ``x y particles`` a spot, in mm at the isocentre.  Each block states its number of
spots and the smallest, largest and total number of particles, in six significant digits.  All of that
is checked against the spots, so a file that was cut or edited by hand does not pass.

The angles of the file are those of the GSI convention, not of IEC 61217.  They are kept in
`Plan.identity` under ``TRiP98GantryAngle`` and ``TRiP98CouchAngle``, never as angles of the field.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spotline.arrays import Floats
from spotline.errors import PlanError
from spotline.physics.ions import IONS, Ion, ion_from_numbers
from spotline.plan.model import Field, Layer, PassiveElement, Plan

FORMAT = "TRiP98 raster scan file"

_HEADER = (
    "rstfile",
    "sistable",
    "patient_id",
    "machine#",
    "projectile",
    "charge",
    "mass",
    "gantryangle",
    "couchangle",
    "stereotacticcoordinates",
    "bolus",
    "ripplefilter",
    "#submachines",
    "#particles",
)
_REQUIRED = ("rstfile", "projectile", "charge", "mass", "#submachines", "#particles")

# Numbers are written in six significant digits: 5e-6 in what is stated and 5e-6 in each of the spots.
_TOLERANCE = 2e-5


@dataclass(slots=True)
class _Lines:
    """The lines of the file that are not blank, and how far they have been read."""

    path: Path
    lines: list[tuple[int, list[str]]]  # line number from 1, words
    position: int = 0

    def peek(self) -> str:
        """First word of the next line, empty at the end of the file."""
        return self.lines[self.position][1][0] if self.position < len(self.lines) else ""

    def take(self, expected: str) -> tuple[str, list[str]]:
        """Next line as the beginning of a message and its words."""
        if self.position == len(self.lines):
            raise PlanError(
                f"{self.path}: ends where {expected} should follow; the file is truncated, copy it again"
            )
        line_number, words = self.lines[self.position]
        self.position += 1
        return f"{self.path}: line {line_number}", words


@dataclass(slots=True)
class _Stated:
    """A line ``#particles min max sum``: what the spots have to agree with."""

    place: str
    minimum: float
    maximum: float
    total: float


@dataclass(slots=True)
class _Header:
    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


def read_rst(path: str | Path) -> Plan:
    """Read a TRiP98 raster scan file and check it.

    Parameters
    ----------
    path : str or Path
        File with the spots of one field.

    Returns
    -------
    Plan
        One field (number 1, named after the file), in particles, without IEC angles.  The focus of a
        submachine is the spot size (FWHM).  Spots without particles are left out, as `Layer` explains.

    Raises
    ------
    PlanError
        If the file cannot be read, is truncated, or contradicts itself.
    """
    path = Path(path)
    content = _read_bytes(path)
    lines = _split(path, content)
    header = _read_header(lines)
    ion = _read_ion(header, path)
    stated = _particles(header.places["#particles"], header.values["#particles"].split())
    layers, particles = _read_layers(lines, header)
    _check_particles(stated, particles, "all submachines")
    if not layers:
        raise PlanError(f"{path}: no spot has any particles; write the plan again")
    the_field = Field(
        number=1,
        name=path.stem,
        ion=ion,
        unit="NP",
        layers=tuple(layers),
        passive=_read_passive(header),
    )
    return Plan(
        label=path.stem,
        fields=(the_field,),
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        format=FORMAT,
        identity=_identity(header),
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"{path}: cannot be read ({error.strerror or error}); give the path of a TRiP98 .rst file"
        ) from None


def _split(path: Path, content: bytes) -> _Lines:
    text = _decoded(content)
    odd = next(
        (k for k, letter in enumerate(text) if not (letter.isprintable() or letter in "\t\r\n\f")), None
    )
    if odd is not None:
        line_number = text.count("\n", 0, odd) + 1
        raise PlanError(
            f"{path}: line {line_number} has the character {text[odd]!r}, so this is no text; copy it again"
        )
    numbered = ((number, line.split()) for number, line in enumerate(text.splitlines(), start=1))
    lines = _Lines(path, [(number, words) for number, words in numbered if words])
    if lines.peek() != "rstfile":
        raise PlanError(
            f"{path}: is no TRiP98 raster scan file, its first word is not rstfile; give a .rst file"
        )
    return lines


def _decoded(content: bytes) -> str:
    """Text of a file: TRiP98 writes ASCII, but names of patients come as they are, in UTF-8 or Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_header(lines: _Lines) -> _Header:
    header = _Header()
    while lines.peek() != "submachine#":
        place, words = lines.take("the first submachine#")
        keyword = words[0]
        is_of_a_submachine = "#particles" in header.values and "#submachines" in header.values
        if keyword in ("stepsize", "#points") or (keyword == "#particles" and is_of_a_submachine):
            raise PlanError(
                f"{place}: {keyword} belongs to a submachine, but no line 'submachine# index energy step "
                "focus' stands before it, so its energy is not known; write the plan again"
            )
        if keyword not in _HEADER:
            raise PlanError(
                f"{place}: {_quote(keyword)} is no keyword of the header, which may have "
                f"{', '.join(_HEADER)}; remove the line"
            )
        if keyword in header.values:
            raise PlanError(f"{place}: {keyword} is stated twice; remove one of the lines")
        header.values[keyword] = " ".join(words[1:])
        header.places[keyword] = place
    for keyword in _REQUIRED:
        if not header.values.get(keyword):
            raise PlanError(f"{lines.path}: {keyword} is missing in the header; write the plan again")
    return header


def _read_ion(header: _Header, path: Path) -> Ion:
    charge_number = _whole(header.places["charge"], "charge", header.values["charge"])
    mass_number = _whole(header.places["mass"], "mass", header.values["mass"])
    projectile = header.values["projectile"]
    ion = ion_from_numbers(charge_number, mass_number)
    if ion is None:
        known = ", ".join(known.symbol for known in IONS.values())
        raise PlanError(
            f"{path}: charge {charge_number} and mass {mass_number} are no ion that Spotline knows "
            f"({known}); correct the header"
        )
    if projectile.casefold() not in _names_of(ion):
        raise PlanError(
            f"{header.places['projectile']}: projectile is {_quote(projectile)} but charge {charge_number} "
            f"and mass {mass_number} are those of {ion.symbol}; correct the header"
        )
    return ion


def _names_of(ion: Ion) -> set[str]:
    """How files name an ion, folded: 12C, and C or C12 for who leaves the mass to its own line."""
    mass, element = str(ion.mass_number), ion.symbol.removeprefix(str(ion.mass_number))
    return {name.casefold() for name in (ion.symbol, element, element + mass, ion.name)}


def _read_passive(header: _Header) -> tuple[PassiveElement, ...]:
    passive = []
    ripple_filter = header.values.get("ripplefilter", "")
    if ripple_filter not in ("", "0"):
        passive.append(PassiveElement(kind="range_modulator", id=ripple_filter))
    bolus = header.values.get("bolus", "")
    if bolus:
        wet_mm = _number(header.places["bolus"], "bolus", bolus)
        if wet_mm < 0.0:
            raise PlanError(f"{header.places['bolus']}: bolus is {wet_mm:g} mm, less than zero; correct it")
        if wet_mm > 0.0:
            passive.append(PassiveElement(kind="bolus", id="bolus", wet_mm=wet_mm))
    return tuple(passive)


def _identity(header: _Header) -> dict[str, str]:
    keys = {
        "patient_id": "PatientID",
        "gantryangle": "TRiP98GantryAngle",
        "couchangle": "TRiP98CouchAngle",
        "machine#": "TRiP98Machine",
        "sistable": "TRiP98SISTable",
    }
    return {key: header.values[keyword] for keyword, key in keys.items() if header.values.get(keyword)}


def _read_layers(lines: _Lines, header: _Header) -> tuple[list[Layer], Floats]:
    """Read all submachines: their layers, and the particles of all points, those of zero too."""
    place = header.places["#submachines"]
    expected = _whole(place, "#submachines", header.values["#submachines"])
    if expected < 1:
        raise PlanError(
            f"{place}: #submachines is {expected}, so the plan has no spots; write the plan again"
        )
    layers: list[Layer] = []
    particles: list[Floats] = []
    for submachine in range(expected):
        layer, layer_particles = _read_submachine(lines, submachine, len(layers), expected)
        particles.append(layer_particles)
        if layer.n_spots:
            layers.append(layer)
    if lines.peek():
        place, words = lines.take("")
        raise PlanError(
            f"{place}: {_quote(words[0])} follows after all {expected} submachines and their points; "
            "remove it, or correct #submachines and #points"
        )
    return layers, np.concatenate(particles)


def _read_submachine(lines: _Lines, submachine: int, index: int, expected: int) -> tuple[Layer, Floats]:
    place, words = lines.take(f"submachine {submachine} of {expected} (counted from 0)")
    if words[0] != "submachine#" or len(words) != 5:
        raise PlanError(
            f"{place}: expected 'submachine# index energy step focus' for submachine {submachine} of "
            f"{expected} (counted from 0), found {_quote(' '.join(words))}; correct #submachines or #points"
        )
    where = f"{place}, submachine {submachine}"
    _whole(where, "energy index", words[1])
    energy_MeV_u = _positive(where, "energy", words[2])
    _whole(where, "step", words[3])
    focus_mm = _positive(where, "focus", words[4])

    keywords = _read_block_header(lines, where)
    stated = _particles(*keywords["#particles"])
    points_place, points_words = keywords["#points"]
    n_points = _whole(points_place, "#points", " ".join(points_words))
    if n_points < 1:
        raise PlanError(f"{points_place}: #points is {n_points}; a submachine needs spots, remove it")
    points = np.array([_read_point(lines, where, point, n_points) for point in range(n_points)])
    _check_particles(stated, points[:, 2], f"submachine {submachine}")

    kept = np.flatnonzero(points[:, 2] > 0.0)
    layer = Layer(
        index=index,
        energy_MeV_u=energy_MeV_u,
        x_iso_mm=points[kept, 0],
        y_iso_mm=points[kept, 1],
        meterset=points[kept, 2],
        fwhm_x_mm=focus_mm,
        fwhm_y_mm=focus_mm,
        control_point=submachine,
        spot_index=None if len(kept) == n_points else kept,
    )
    return layer, points[:, 2]


def _read_block_header(lines: _Lines, where: str) -> dict[str, tuple[str, list[str]]]:
    """Read the keywords of a submachine up to ``#points``, which is the last before the spots."""
    found: dict[str, tuple[str, list[str]]] = {}
    while "#points" not in found:
        place, words = lines.take("#points of a submachine")
        keyword = words[0]
        if keyword not in ("#particles", "stepsize", "#points") or keyword in found:
            raise PlanError(
                f"{place}: expected #particles, stepsize and #points once each, found "
                f"{_quote(' '.join(words))}; write the plan again"
            )
        found[keyword] = (place, words[1:])
    if "#particles" not in found:
        raise PlanError(f"{where}: #particles is missing; write the plan again")
    if "stepsize" in found:
        place, words = found["stepsize"]
        if len(words) != 2:
            raise PlanError(f"{place}: stepsize has {len(words)} values instead of two; correct it")
        for word in words:
            _positive(place, "stepsize", word)
    return found


def _read_point(lines: _Lines, where: str, point: int, n_points: int) -> tuple[float, float, float]:
    place, words = lines.take(f"point {point} of {n_points} ({where})")
    if len(words) != 3:
        raise PlanError(
            f"{place}: expected 'x y particles' for point {point} of {n_points} (counted from 0), found "
            f"{_quote(' '.join(words))}; correct the line, or #points"
        )
    x_mm, y_mm, particles = (
        _number(place, name, word) for name, word in zip(("x", "y", "particles"), words, strict=True)
    )
    if particles < 0.0:
        raise PlanError(f"{place}: particles is {particles:g}, less than zero; correct the line")
    return x_mm, y_mm, particles


def _particles(place: str, words: list[str]) -> _Stated:
    if len(words) != 3:
        raise PlanError(
            f"{place}: #particles has {len(words)} values instead of min, max and sum; correct it"
        )
    minimum, maximum, total = (_number(place, "#particles", word) for word in words)
    return _Stated(place, minimum, maximum, total)


def _check_particles(stated: _Stated, particles: Floats, of: str) -> None:
    checks: tuple[tuple[str, float, Callable[[Floats], float]], ...] = (
        ("min", stated.minimum, np.min),
        ("max", stated.maximum, np.max),
        ("sum", stated.total, np.sum),
    )
    for name, expected, function in checks:
        found = float(function(particles))
        if not math.isclose(found, expected, rel_tol=_TOLERANCE):
            raise PlanError(
                f"{stated.place}: #particles states {name} {expected:.6g} but the points of {of} have "
                f"{found:.6g}; the file was altered or truncated, write the plan again"
            )


def _number(place: str, name: str, word: str) -> float:
    try:
        found = float(word if word.isascii() else "")
    except ValueError:
        raise PlanError(f"{place}: {name} is {_quote(word)}, which is no number; correct it") from None
    if not math.isfinite(found):
        raise PlanError(f"{place}: {name} is {word}; correct it to a finite number")
    return found


def _positive(place: str, name: str, word: str) -> float:
    found = _number(place, name, word)
    if found <= 0.0:
        raise PlanError(f"{place}: {name} is {word}; it must be greater than zero, correct it")
    return found


def _whole(place: str, name: str, word: str) -> int:
    found = _number(place, name, word)
    if found != math.floor(found) or found < 0.0:
        raise PlanError(f"{place}: {name} is {word}; it must be a whole number, correct it")
    return int(found)


def _quote(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "..."
    return repr(shown)
