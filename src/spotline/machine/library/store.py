"""Beam libraries on disk: one compact HDF5 file per ion and kind of line, whole or not there.

docs/reference/beam-library.md has the format.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from spotline.errors import LibraryError, RecordError
from spotline.hdf5 import as_written, header_of, keys_of, new_file, plain, publish_file, text, typed
from spotline.machine import BeamLine
from spotline.machine.library.areas import CHAMBER, as_header
from spotline.machine.library.headers import LibraryHeader
from spotline.machine.library.letd import BEFORE_GROUPS
from spotline.machine.library.model import BeamLibrary, LibraryArrays
from spotline.physics.ions import IONS
from spotline.tables import closest

FORMAT = "spotline beam library"
VERSION = 4
"""4: LETd by group of particles; 3 had that of all charged particles only, and 2 one chamber instead of the
areas that were asked for.  Both are read as well.

In 1 spectra were particles that cross a plane forward; it is refused.
"""
READABLE = (2, 3, VERSION)
OLD_CHAMBER = "chamber_MeV_cm2_g"
"""What version 2 has in place of ``within_MeV_cm2_g``: the depth dose within `CHAMBER`."""
SHIPPED = Path(__file__).resolve().parent / "data"
SUFFIX = ".h5"

ROUNDED = 0.25
"""Spectra are rounded to this part of their statistical error."""

# Type on disk and factor before it: what is smooth and needs no more has 16 bits.  The factors keep small
# numbers among the normal ones of 16-bit floats.
_STORED: dict[str, tuple[str, float]] = {
    "energy_MeV_u": ("f8", 1.0),
    "range_mm": ("f8", 1.0),
    "sigma_mm": ("f8", 1.0),
    "depth_mm": ("f4", 1.0),
    "field_MeV_cm2_g": ("f4", 1.0),
    "within_MeV_cm2_g": ("f4", 1.0),
    "error_MeV_cm2_g": ("f2", 64.0),
    "letd_keV_um": ("f2", 1.0),
    "letd_share": ("f2", 1024.0),
    "lateral_depth_mm": ("f4", 1.0),
    "core_mm": ("f2", 64.0),
    "halo_mm": ("f2", 64.0),
    "halo_share": ("f2", 1024.0),
    "plane_mm": ("f4", 1.0),
    "spectrum_edges_MeV_u": ("f4", 1.0),
    "spectrum": ("f2", 1024.0),
}

_AREAS = "within_MeV_cm2_g"
_LETD, _SHARES = "letd_keV_um", "letd_share"


def write_library(library: BeamLibrary, path: Path) -> str:
    """Write a library whole, or leave what was there; return the SHA-256 of the file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    stored = {name: _packed(name, array) for name, array in library.arrays._asdict().items()}
    primaries = library.facts.primaries
    if primaries:  # a library that no simulation made has no noise
        stored["spectrum"] = _without_noise(stored["spectrum"], float(primaries))
    header = json.dumps(library.header, sort_keys=True)
    with new_file(path) as file:
        file.attrs["format"], file.attrs["version"] = text(FORMAT), VERSION
        file.attrs["header"] = text(header)
        file.attrs["sha256"] = text(_hash(header, stored))
        for name, array in stored.items():
            # One chunk for all: neighbouring energies compress well together.
            whole = {"chunks": array.shape, "compression": "gzip", "compression_opts": 9, "shuffle": True}
            whole["fletcher32"] = True
            data = file.create_dataset(name, data=array, **(whole if array.size else {}))
            data.attrs["scale"] = _STORED[name][1]
        return publish_file(file, path)


def read_library(path: Path) -> BeamLibrary:
    """Read a library.

    Raises
    ------
    LibraryError
        If it is missing, damaged, no beam library, or of another version.
    """
    if not path.is_file():
        raise LibraryError(f"{path}: no such beam library; make it with `spotline library build`")
    try:
        with as_written(path), h5py.File(path, "r") as file:
            found, version = plain(file.attrs.get("format")), plain(file.attrs.get("version"))
            if found != FORMAT:
                raise LibraryError(f"{path}: is no beam library; give a file that `library build` wrote")
            if version not in READABLE:
                raise LibraryError(
                    f"{path}: has version {version} of the format, but this Spotline reads {READABLE[0]} to "
                    f"{VERSION}; build it anew, or use the Spotline that wrote it"
                )
            names = {name: OLD_CHAMBER if version == 2 and name == _AREAS else name for name in _STORED}
            if version < 4:
                del names[_SHARES]
            read = {name: file[name][()] for name in names.values()}
            if plain(file.attrs["sha256"]) != _hash(plain(file.attrs["header"]), read):
                raise ValueError("its figures are not those that were written")
            header = header_of(file)
            if version == 2:
                read[OLD_CHAMBER] = read[OLD_CHAMBER][:, None, :]
                header["areas"] = [keys_of(area) for area in as_header((CHAMBER,))]
            stored = {name: read[old] for name, old in names.items()}
            if version < 4:
                stored[_LETD] = stored[_LETD][:, None, :]
                # All of the dose, or nearly: of what reactions leave on the spot these versions say nothing.
                stored[_SHARES] = np.full_like(stored[_LETD], _STORED[_SHARES][1])
                header["letd_groups"] = list(BEFORE_GROUPS)
            ion = typed(LibraryHeader, header).ion
            if ion not in IONS:
                raise ValueError(f"ion {ion!r} is not known")
    except RecordError as error:
        raise LibraryError(
            str(error).replace("restore it from a copy", "build it anew or restore it")
        ) from None
    arrays = LibraryArrays(**{name: array.astype(float) / _STORED[name][1] for name, array in stored.items()})
    for array in arrays:
        array.setflags(write=False)
    return BeamLibrary(header, arrays, path)


def shipped_libraries() -> tuple[str, ...]:
    """Names of the beam libraries that come with Spotline, sorted."""
    return tuple(sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}")))


def library_path(beamline: BeamLine, ion_name: str) -> Path:
    """Where the library of an ion on a line is: shipped, or beside the file of the line.

    Raises
    ------
    LibraryError
        If the line has no such ion, or names no library for it.
    """
    beam = beamline.beam(ion_name)
    if beam is None:
        raise LibraryError(
            f"ion {ion_name!r}: {beamline.name} does not deliver it; {closest(ion_name, beamline.ion_names)}"
        )
    if beam.library is None:
        raise LibraryError(
            f"{beamline.path}: names no library for {ion_name}; build one with `spotline library build` and "
            "add its name as library to the ion"
        )
    own = beamline.path.parent / beam.library
    return own if own.suffix == SUFFIX else SHIPPED / f"{beam.library}{SUFFIX}"


def load_library(beamline: BeamLine, ion_name: str) -> BeamLibrary:
    """Load the beam library of an ion on a line, and check that it is that of this beam.

    Parameters
    ----------
    beamline : BeamLine
        The line, which names the library.
    ion_name : str
        Name of the ion.

    Raises
    ------
    LibraryError
        If there is none, it is damaged, or it was made for another ion or momentum spread, or other energies.
    """
    library = read_library(library_path(beamline, ion_name))
    for fault in faults_of(library, beamline, ion_name):
        raise LibraryError(fault)
    return library


def faults_of(library: BeamLibrary, beamline: BeamLine, ion_name: str) -> Iterator[str]:
    """Say all for which a library is not that of an ion on a line, and what to do."""
    path = library.path
    beam, listed = beamline.beam(ion_name), beamline.energies[ion_name].energy_MeV_u
    assert beam is not None
    again = f"build it anew for {beamline.name} with `spotline library build`"
    if library.ion.name != ion_name:
        yield f"{path}: is a library of {library.ion.name}, not of {ion_name}; {again}"
        return  # the rest follows from it
    if not math.isclose(library.momentum_spread_percent, beam.momentum_spread_percent, abs_tol=1e-9):
        yield (
            f"{path}: was made for a momentum spread of {library.momentum_spread_percent:g} %, but "
            f"{beamline.name} has {beam.momentum_spread_percent:g} %; {again}"
        )
    held = library.energy_MeV_u
    if listed[0] < held[0] - 1e-6 or listed[-1] > held[-1] + 1e-6:
        yield (
            f"{path}: reaches from {held[0]:g} to {held[-1]:g} MeV/u, but {beamline.name} has {ion_name} "
            f"from {listed[0]:g} to {listed[-1]:g} MeV/u; {again}"
        )


def _packed(name: str, array: np.ndarray) -> np.ndarray:
    kind, scale = _STORED[name]
    with np.errstate(over="ignore"):
        packed: np.ndarray = (np.asarray(array) * scale).astype(kind)
    if not np.all(np.isfinite(packed)):
        raise ValueError(f"{name} of a beam library has numbers that are not finite or too large to store")
    return packed


def _without_noise(packed: np.ndarray, primaries: float) -> np.ndarray:
    """Round a packed spectrum to a part of its statistical error, which makes the file a third smaller.

    If every particle counts 1, the error of a fluence F per primary is ``sqrt(F / primaries)``; the last
    binary digit that stays is worth a quarter of that or less.
    """
    kind, scale = _STORED["spectrum"]
    scaled = packed.astype(float)
    error = np.sqrt(np.maximum(scaled, np.finfo(float).tiny) * (scale / primaries))
    digit = 2.0 ** np.floor(np.log2(ROUNDED * error))
    rounded: np.ndarray = (np.round(scaled / digit) * digit).astype(kind)
    return rounded


def _hash(header: str, stored: Mapping[str, np.ndarray]) -> str:
    """Hash of all that a library holds."""
    digest = hashlib.sha256(header.encode())
    for name, values in stored.items():
        array = np.ascontiguousarray(values)
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
