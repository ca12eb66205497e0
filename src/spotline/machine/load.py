"""Read, check and hash the description of a beam line."""

from __future__ import annotations

import hashlib
import itertools
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.control.slow import SlowLimits
from spotline.errors import BeamLineError, OptionError
from spotline.machine import check
from spotline.machine.changes import Change, next_version, with_changes
from spotline.machine.geometry import current_A, gain_at, interpolate
from spotline.machine.model import BeamLineFile, Description, IonBeam, ScanningAxis
from spotline.machine.old_keys import OLD_KEYS, new_keys, with_rows
from spotline.physics.gas import gas_factor
from spotline.physics.ions import IONS
from spotline.tables import (
    EnergyTable,
    GainMap,
    OpticsTable,
    closest,
    read_energy_table,
    read_gain_map,
    read_optics_table,
)

if TYPE_CHECKING:
    from spotline.moves import Moves

__all__ = [
    "BeamLine",
    "EnergyTable",
    "GainMap",
    "OpticsTable",
    "SpotSize",
    "load_beamline",
    "shipped_beamlines",
]

T = TypeVar("T")
Report = Callable[[BeamLineError], None]

TOML_NAME = "beamline.toml"
SHIPPED = Path(__file__).resolve().parents[1] / "beamlines"


class SpotSize(NamedTuple):
    """Full width at half maximum of a spot, at the isocentre in air and at the chambers."""

    fwhm_x_mm: float
    fwhm_y_mm: float
    fwhm_box_x_mm: float
    fwhm_box_y_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class BeamLine:
    """A beam line as it is believed to be, with its tables read.

    What is true in the simulated room is a `spotline.machine.true_line.TrueLine`.

    Attributes
    ----------
    facts : BeamLineFile
        The TOML file, but for its ``simulation`` table.
    path : Path
        Where it was read from.
    sha256 : str
        Hash over the TOML file and all tables, hexadecimal.
    energies : dict of str to EnergyTable
        By ion name.
    optics : dict of (str, str, int) to OpticsTable
        By ion name, focus and number of ripple filters.
    int1_gain_map, int2_gain_map : GainMap or None
        None: uniform.
    files : dict of str to bytes
        Content of the TOML file and all tables as they were read, by name: what the hash is of.
    changes : tuple of Change
        What was changed since the files were read, in order.
    """

    facts: BeamLineFile
    path: Path
    sha256: str
    energies: dict[str, EnergyTable]
    optics: dict[tuple[str, str, int], OpticsTable]
    int1_gain_map: GainMap | None
    int2_gain_map: GainMap | None
    files: dict[str, bytes]
    changes: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        """Name of the line."""
        return self.facts.name

    @property
    def ion_names(self) -> tuple[str, ...]:
        """Names of the ions that the line delivers."""
        return tuple(beam.name for beam in self.facts.ions)

    def beam(self, ion_name: str) -> IonBeam | None:
        """The description of an ion species on this line; None if it has none."""
        return next((b for b in self.facts.ions if b.name == ion_name), None)

    def match_energy(self, ion_name: str, energy_MeV_u: float) -> float | None:
        """Return the energy that the accelerator delivers for one that a plan asks for.

        The closest listed energy if it lies within ``energy_tolerance_MeV_u`` (a border value is
        inside).  On a line with continuous energies the energy itself; beyond an end of the table, but
        within the tolerance, that end.  None if there is no such energy, or no such ion.
        """
        beam = self.beam(ion_name)
        if beam is None or not math.isfinite(energy_MeV_u):
            return None
        listed = self.energies[ion_name].energy_MeV_u
        if beam.energy_selection == "continuous" and listed[0] <= energy_MeV_u <= listed[-1]:
            return energy_MeV_u
        nearest = float(listed[np.argmin(np.abs(listed - energy_MeV_u))])
        # The slack of 1e-9 keeps border values inside in spite of rounding.
        if abs(nearest - energy_MeV_u) > beam.energy_tolerance_MeV_u + 1e-9:
            return None
        if beam.energy_selection == "continuous":
            return float(np.clip(energy_MeV_u, listed[0], listed[-1]))
        return nearest

    def range_mm(self, ion_name: str, energy_MeV_u: ArrayLike) -> Floats:
        """Depth of the Bragg peak in water, PCHIP in energy; NaN outside the table."""
        table = self.energies[ion_name]
        return interpolate(energy_MeV_u, table.energy_MeV_u, table.range_mm)

    def particles_per_count(self, ion_name: str, energy_MeV_u: ArrayLike) -> Floats:
        """Particles per count at reference gas conditions, PCHIP in energy; NaN outside the table."""
        table = self.energies[ion_name]
        return interpolate(energy_MeV_u, table.energy_MeV_u, table.particles_per_count)

    def particles_per_MU(self, ion_name: str, energy_MeV_u: ArrayLike) -> Floats | None:
        """Particles per monitor unit, PCHIP in energy; None if the line knows no monitor units."""
        table = self.energies[ion_name]
        if table.particles_per_MU is None:
            return None
        return interpolate(energy_MeV_u, table.energy_MeV_u, table.particles_per_MU)

    def foci(self, ion_name: str) -> tuple[str, ...]:
        """Names of the optics of an ion, the default one first."""
        beam = self.beam(ion_name)
        return tuple(dict.fromkeys(o.focus for o in beam.optics)) if beam is not None else ()

    def spot_size(
        self, ion_name: str, energy_MeV_u: float, focus: str | None = None, range_modulators: int = 0
    ) -> SpotSize | None:
        """Spot size at one energy, PCHIP in energy.

        Parameters
        ----------
        ion_name : str
            Name of the ion.
        energy_MeV_u : float
            Kinetic energy per nucleon; NaN comes back outside the table.
        focus : str, optional
            Optics; by default the first one of the ion.
        range_modulators : int
            Number of ripple filters in the beam.

        Returns
        -------
        SpotSize or None
            None if the line has no such optics.
        """
        foci = self.foci(ion_name)
        if not foci:
            return None
        table = self.optics.get((ion_name, focus if focus is not None else foci[0], range_modulators))
        if table is None:
            return None
        columns = (table.fwhm_x_mm, table.fwhm_y_mm, table.fwhm_box_x_mm, table.fwhm_box_y_mm)
        return SpotSize(*(float(interpolate(energy_MeV_u, table.energy_MeV_u, column)) for column in columns))

    def moves(self, ion_name: str, energy_MeV_u: float) -> Moves:
        """How the scanning magnets move a beam of this ion and energy across the isocentre.

        Raises
        ------
        KeyError
            If the line has no such ion.
        """
        from spotline.moves import AxisMoves, Moves  # brings Numba along, which takes a while to import

        beam = self.beam(ion_name)
        if beam is None:
            raise KeyError(ion_name)
        facts, rigidity_T_m = self.facts, beam.ion.rigidity_T_m(energy_MeV_u)

        def axis(magnet: ScanningAxis, source_mm: float) -> AxisMoves:
            return AxisMoves(
                float(current_A(1.0, source_mm, rigidity_T_m, magnet.integral_field_mT_m_per_A)),
                magnet.slew_A_per_s * 1e-6,
                magnet.settling_time_us,
                facts.control.settled_current_A,
            )

        return Moves(
            axis(facts.scanning.x, facts.geometry.x_source_to_isocentre_mm),
            axis(facts.scanning.y, facts.geometry.y_source_to_isocentre_mm),
        )

    def gas_factor(self, temperature_C: float, pressure_Pa: float) -> float:
        """Density of the gas in a box relative to the reference; NaN for what no gas can have."""
        chambers = self.facts.chambers
        return gas_factor(
            temperature_C, pressure_Pa, chambers.reference_temperature_C, chambers.reference_pressure_Pa
        )

    def changed(self, values: Mapping[str, Any], *, source: str, version: str | None = None) -> BeamLine:
        """Return a line with other values, read and checked like any other.

        The text of the files is changed as a person would: a new value stands where the old one stood, with
        `source` as its comment, and everything else stays.

        Parameters
        ----------
        values : dict
            New values by key of the TOML file, as in ``"geometry.field_x_mm"``.  An ion stands under its name
            or place (``"ions.carbon.energies"``, ``"ions[1].energies"``), entries of arrays under their place
            (``"ions.carbon.optics[0].table"``).  A whole table may be given as a dict; None removes a key.
            A key that names a CSV table takes an `EnergyTable`, `OpticsTable` or `GainMap` too.
        source : str
            Where the values come from, in the words of a comment: codes of ``[sources]`` in brackets.  A new
            code is a value too, as in ``"sources.DAILY"``.
        version : str, optional
            Of the new line; by default the first change after reading makes it the next one.

        Returns
        -------
        BeamLine
            With a hash of its own, and the changes noted.  `write_beamline` writes it.

        Raises
        ------
        BeamLineError
            If the line cannot be so.
        OptionError
            If a key cannot be found or changed, or the source is empty.
        """
        order = BeamLineFile.__struct_fields__
        values = self._with_new_keys(values)
        files, changes = with_changes(self.files, self.path.name, values, source, order)
        if changes and version is None and not self.changes and "version" not in values:
            version = next_version(self.facts.version)
        if version is not None:
            files, _ = with_changes(files, self.path.name, {"version": version}, source, order)
        line = _read(self.path, _Files(self.path.parent, known=files), _refuse)
        assert line is not None  # a line with a problem is refused
        return replace(line, changes=self.changes + changes)

    def _with_new_keys(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keys from before there were rows as keys of the rows, unless the file itself has the old ones."""
        has_rows = "monitors" in parse_toml(self.path, self.files[self.path.name])
        if has_rows:
            return {new: value for key, value in values.items() for new in (tuple(new_keys(key)) or (key,))}
        for key in values:
            if key.startswith(("monitors", "boxes")):
                raise OptionError(
                    f"{key}: the file describes its monitors with keys from before there were rows, such as "
                    f"{OLD_KEYS[0]}; change these, or write [[boxes]] and [[monitors]] in their place"
                )
        return values

    @property
    def slow_limits(self) -> SlowLimits:
        """Tolerances of the slow control, with the reference gas."""
        limits, chambers = self.facts.slow_interlocks, self.facts.chambers
        return SlowLimits(
            limits.temperature_C,
            limits.pressure_Pa,
            limits.high_voltage_V,
            limits.gas_density_change,
            limits.period_s,
            limits.silence_s,
            chambers.reference_temperature_C,
            chambers.reference_pressure_Pa,
        )

    def int1_gain(self, x_iso_mm: ArrayLike, y_iso_mm: ArrayLike) -> Floats:
        """Relative gain of INT1 at positions at the isocentre, bilinear in its map."""
        return gain_at(self.int1_gain_map, x_iso_mm, y_iso_mm)

    def int2_gain(self, x_iso_mm: ArrayLike, y_iso_mm: ArrayLike) -> Floats:
        """Relative gain of INT2 at positions at the isocentre, bilinear in its map."""
        return gain_at(self.int2_gain_map, x_iso_mm, y_iso_mm)


def shipped_beamlines() -> tuple[str, ...]:
    """Names of the beam lines that come with Spotline, sorted."""
    return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if (folder / TOML_NAME).is_file()))


def load_beamline(name_or_path: str | Path) -> BeamLine:
    """Load a shipped beam line by name, or any by the path of its folder or TOML file.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `shipped_beamlines`, or a path.  A name goes before a folder of the same name in the
        current one; write ``./name`` for the folder.

    Raises
    ------
    BeamLineError
        If there is no such line, or anything in its files is wrong.
    """
    line = read_line(find_line(name_or_path), _refuse)
    assert line is not None  # a line with a problem is refused
    return line


def read_line(path: Path, report: Report) -> BeamLine | None:
    """Read a beam line, and report what is wrong with it.

    Parameters
    ----------
    path : Path
        TOML file of the line.
    report : callable
        Takes each problem as the error that says what is wrong, where, and what to do.  If it raises, reading
        ends there; if it returns, reading goes on with what does not depend on the wrong part.

    Returns
    -------
    BeamLine or None
        The line, without the tables that cannot be read; None if the TOML file itself is no beam line.
    """
    return _read(path, _Files(path.parent), report)


def _read(path: Path, files: _Files, report: Report) -> BeamLine | None:
    raw = _attempt(report, lambda: parse_toml(path, files.read(path.name, named_by=str(path))))
    facts = None if raw is None else _convert(path, raw, report)
    if facts is None:
        return None
    energies: dict[str, EnergyTable] = {}
    optics: dict[tuple[str, str, int], OpticsTable] = {}
    for index, beam in enumerate(facts.ions):
        table = _read_energies(path, files, facts, index, report)
        if table is not None:
            energies[beam.name] = table
        for number, entry in enumerate(beam.optics):
            key = f"{path}: ions[{index}].optics[{number}].table"
            sizes = _attempt(report, partial(_read_table, files, key, entry.table, read_optics_table))
            if sizes is not None:
                if table is not None:
                    _report_each(check.check_optics(files.where(entry.table), sizes, table), report)
                optics[beam.name, entry.focus, entry.range_modulators] = sizes
    int1 = _read_gain_map(path, files, facts, "int1_gain_map", report)
    int2 = _read_gain_map(path, files, facts, "int2_gain_map", report)
    return BeamLine(facts, path, files.sha256(), energies, optics, int1, int2, files.contents)


@dataclass(frozen=True, slots=True)
class _Files:
    """Files of one beam line, each read once, so that what is hashed is what is parsed."""

    folder: Path
    contents: dict[str, bytes] = field(default_factory=dict)
    known: Mapping[str, bytes] = field(default_factory=dict)
    """What to take instead of files of the folder."""

    def where(self, name: str) -> str:
        return str(self.folder / name)

    def read(self, name: str, named_by: str) -> bytes:
        if name in self.contents:
            return self.contents[name]
        relative = PurePosixPath(name)
        if not name or relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name:
            raise BeamLineError(
                f"{named_by}: {name!r} leaves the folder of the beam line; put the file into the folder"
            )
        try:
            known = self.known.get(name)
            self.contents[name] = (self.folder / name).read_bytes() if known is None else known
        except OSError as error:
            raise BeamLineError(
                f"{named_by}: cannot read {self.where(name)} ({error.strerror}); check the name"
            ) from None
        return self.contents[name]

    def sha256(self) -> str:
        """Hash of names and contents in order of names; line ends count as one line feed."""
        digest = hashlib.sha256()
        for name in sorted(self.contents):
            content = self.contents[name].replace(b"\r\n", b"\n")
            digest.update(f"{name}\n{len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()


def find_line(name_or_path: str | Path) -> Path:
    """Find the TOML file of a beam line; parameters and errors as of `load_beamline`."""
    if isinstance(name_or_path, str) and name_or_path in shipped_beamlines():
        return SHIPPED / name_or_path / TOML_NAME
    path = Path(name_or_path)
    if path.is_dir():
        path = path / TOML_NAME
        if not path.is_file():
            raise BeamLineError(f"{path.parent}: has no {TOML_NAME}; give the folder of a beam line")
    if path.is_file():
        return path
    if str(name_or_path) in shipped_beamlines():
        return SHIPPED / str(name_or_path) / TOML_NAME
    raise BeamLineError(
        f"{name_or_path}: is neither a shipped beam line ({', '.join(shipped_beamlines())}) nor an existing "
        "path; give one of these"
    )


def parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """Parse the content of the TOML file; what is wrong with it is told by its path."""
    try:
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise BeamLineError(f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BeamLineError(f"{path}: is not valid TOML: {error}; correct that line") from None


def _convert(path: Path, raw: dict[str, Any], report: Report) -> BeamLineFile | None:
    if isinstance(raw.get("accelerator"), dict):
        raw["accelerator"].setdefault("kind", "synchrotron")  # of files from before there were kinds
    raw, old_names, both = with_rows(raw)
    problems = itertools.chain(
        both, _unknown_keys(raw, Description, ""), _not_finite(raw, ""), _wrong_values(raw, Description, "")
    )
    if _report_all(path, _as_in_the_file(problems, old_names), report):
        return None
    facts = msgspec.convert(raw, Description)
    _report_all(path, _as_in_the_file(check.check_facts(facts), old_names), report)
    return msgspec.convert({key: raw[key] for key in raw if key != "simulation"}, BeamLineFile)


def _as_in_the_file(problems: Iterator[str], old_names: Mapping[str, str]) -> Iterator[str]:
    """Problems of keys by the names that these have in the file."""
    for problem in problems:
        key, colon, rest = problem.partition(":")
        yield f"{old_names.get(key, key)}{colon}{rest}"


def _refuse(problem: BeamLineError) -> NoReturn:
    raise problem


def _report_all(path: Path, problems: Iterator[str], report: Report) -> bool:
    """Report what is wrong with the TOML file; return whether anything is."""
    # A quoted key may hold a line end; a message is one line.
    return _report_each((f"{path}: " + problem.replace("\n", "\\n") for problem in problems), report)


def _report_each(problems: Iterator[str], report: Report) -> bool:
    found = False
    for problem in problems:
        found = True
        report(BeamLineError(problem))
    return found


def _attempt(report: Report, read: Callable[[], T]) -> T | None:
    """What is read, or None after its error was reported."""
    try:
        return read()
    except BeamLineError as error:
        report(error)
        return None


def _unknown_keys(raw: object, kind: Any, where: str) -> Iterator[str]:
    """Walk the parsed file along the types and name keys that no type has."""
    tag = raw.get("kind") if isinstance(raw, Mapping) else None
    kinds = [name for part in typing.get_args(kind) if (name := _tag_of(part)) is not None]
    if kinds and isinstance(tag, str) and tag not in kinds:
        yield f"{where}.kind: {tag!r} is not known; {closest(tag, kinds)}"
    kind = _chosen(raw, kind)
    if isinstance(raw, Mapping) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        known = typing.get_type_hints(kind)
        if _tag_of(kind) is not None:
            known["kind"] = str
        for key, value in raw.items():
            full = f"{where}.{key}" if where else key
            if key not in known:
                yield f"{full}: is not a known key; {closest(key, known)}"
            else:
                yield from _unknown_keys(value, known[key], full)
    elif isinstance(raw, list) and typing.get_origin(kind) is tuple:
        for index, item in enumerate(raw):
            yield from _unknown_keys(item, typing.get_args(kind)[0], f"{where}[{index}]")


def _chosen(raw: object, kind: Any) -> Any:
    """Of several types, the one that is meant: by its tag, or since only one is a value; None if none is."""
    if typing.get_origin(kind) is not types.UnionType:
        return kind
    tagged = {_tag_of(part): part for part in typing.get_args(kind) if part is not types.NoneType}
    return tagged.get(raw.get("kind") if None not in tagged and isinstance(raw, Mapping) else None)


def _tag_of(table: Any) -> str | None:
    """The ``kind`` by which a file asks for a table, if there are several to choose from."""
    config = getattr(table, "__struct_config__", None)
    return config.tag if config is not None else None


def _not_finite(raw: object, where: str) -> Iterator[str]:
    """Name infinite and undefined numbers, which TOML can express."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from _not_finite(value, f"{where}.{key}" if where else key)
    elif isinstance(raw, list):
        for index, item in enumerate(raw):
            yield from _not_finite(item, f"{where}[{index}]")
    elif isinstance(raw, float) and not math.isfinite(raw):
        yield f"{where}: {raw} is not a finite number; give one"


def _wrong_values(raw: object, kind: Any, where: str) -> Iterator[str]:
    """Walk the parsed file along the types and name what is missing or of another kind."""
    inner = _chosen(raw, kind)
    if inner is None and isinstance(raw, Mapping) and isinstance(raw.get("kind"), str):
        return  # of no known kind, which is another problem, and told
    if isinstance(raw, Mapping) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        known = typing.get_type_hints(inner, include_extras=True)
        for one in msgspec.structs.fields(inner):
            full = f"{where}.{one.name}" if where else one.name
            if one.name in raw:
                yield from _wrong_values(raw[one.name], known[one.name], full)
            elif one.required:
                yield f"{full}: is missing; add the key"
    elif isinstance(raw, list) and _is_array_of_tables(kind):
        for index, item in enumerate(raw):
            yield from _wrong_values(item, typing.get_args(kind)[0], f"{where}[{index}]")
    elif not any(_not_finite(raw, "")):  # that is another problem, and told
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            yield _readable(where, str(error))


def _is_array_of_tables(kind: Any) -> bool:
    item = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    return isinstance(item, type) and issubclass(item, msgspec.Struct)


def _readable(where: str, message: str) -> str:
    """Turn a message of msgspec (``what - at `$.key` ``) into ``key: what; what to do``."""
    what, _, at = message.partition(" - at ")
    within = at.strip("`").removeprefix("$").replace("[...]", " (an entry of it)")
    what = what.replace("`", "").replace("object", "table").replace("null", "nothing")
    return f"{where}{within}: {what[:1].lower()}{what[1:]}; correct the value"


def _read_table(files: _Files, named_by: str, name: str, read: Callable[[str, bytes], T]) -> T:
    return read(files.where(name), files.read(name, named_by))


def _read_energies(
    path: Path, files: _Files, facts: BeamLineFile, index: int, report: Report
) -> EnergyTable | None:
    beam = facts.ions[index]
    key = f"{path}: ions[{index}].energies"
    table = _attempt(report, lambda: _read_table(files, key, beam.energies, read_energy_table))
    if table is not None:
        if beam.name in IONS:
            _report_all(path, check.check_energies(facts, index, table), report)
        _report_each(check.check_cycle_energies(files.where(beam.energies), beam, table), report)
    return table


def _read_gain_map(
    path: Path, files: _Files, facts: BeamLineFile, key: str, report: Report
) -> GainMap | None:
    name: str | None = getattr(facts.calibration, key)
    if name is None:
        return None
    named_by = f"{path}: calibration.{key}"
    gain_map = _attempt(report, lambda: _read_table(files, named_by, name, read_gain_map))
    if gain_map is not None:
        _report_all(path, check.check_gain_map(key, gain_map, facts), report)
    return gain_map
