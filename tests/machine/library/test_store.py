"""Library files: what is written comes back, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from spotline.errors import LibraryError, OptionError
from spotline.machine import load_beamline
from spotline.machine.library import load_library, read_library, write_library
from spotline.machine.library.store import SHIPPED, library_path
from tests.lines.edit import copy_line, edit
from tests.machine.library.fakes import fake_library


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "carbon.h5"
    write_library(fake_library("carbon", 115.23, 279.97, 398.84), path)
    return path


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(written, tmp_path / "copy.h5"))


def test_round_trip(written: Path):
    """Within what 32 and 16 bits keep."""
    library, original = read_library(written), fake_library("carbon", 115.23, 279.97, 398.84)
    assert library.header == original.header
    assert library.path == written
    for name, array in original.arrays._asdict().items():
        back = getattr(library.arrays, name)
        assert back.dtype == np.dtype(float)
        assert not back.flags.writeable
        np.testing.assert_allclose(back, array, rtol=6e-4, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(library.arrays.field_MeV_cm2_g, original.arrays.field_MeV_cm2_g, rtol=1e-7)
    np.testing.assert_array_equal(library.energy_MeV_u, original.energy_MeV_u)


def written_as(version: int, written: Path, path: Path) -> Path:
    """Write a library as an older format had it."""
    library = read_library(written)
    header = {key: value for key, value in library.header.items() if key != "letd_groups"}
    with h5py.File(written, "r") as file:
        stored = {name: file[name][()] for name in library.arrays._fields if name != "letd_share"}
    stored["letd_keV_um"] = np.ascontiguousarray(stored["letd_keV_um"][:, 2])
    if version == 2:
        del header["areas"]
        stored["within_MeV_cm2_g"] = np.ascontiguousarray(stored["within_MeV_cm2_g"][:, 0])
        renamed = {"within_MeV_cm2_g": "chamber_MeV_cm2_g"}
        stored = {renamed.get(name, name): values for name, values in stored.items()}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, values in stored.items():
        digest.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode() + values.tobytes())
    with h5py.File(path, "w") as file:
        file.attrs.update(
            format="spotline beam library",
            version=version,
            header=json.dumps(header, sort_keys=True),
            sha256=digest.hexdigest(),
        )
        for name, values in stored.items():
            file[name] = values
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_older_formats_had_one_letd_and_one_chamber(version: int, written: Path, tmp_path: Path):
    """Its LETd is that of all charged particles, and its chamber one of the areas; nothing else differs."""
    library, old = read_library(written), read_library(written_as(version, written, tmp_path / "old.h5"))
    assert old.header == library.header | {"letd_groups": ["charged"]}
    changed = {"letd_keV_um", "letd_share"}
    for name in set(library.arrays._fields) - changed:
        np.testing.assert_array_equal(getattr(old.arrays, name), getattr(library.arrays, name))
    np.testing.assert_array_equal(old.arrays.letd_keV_um, library.arrays.letd_keV_um[:, 2:])
    assert np.all(old.arrays.letd_share == 1.0)
    entry = old.entry(279.97)
    assert (entry.letd_group, entry.letd_groups) == ("charged", ("charged",))
    depth = np.array([20.0, 100.0])
    np.testing.assert_array_equal(entry.letd(depth), library.entry(279.97).letd(depth, "charged"))
    with pytest.raises(OptionError, match="LETd of 'hydrogen': the library has it of charged; take one"):
        entry.letd(depth, "hydrogen")


def test_no_areas_but_the_field(tmp_path: Path):
    plain = fake_library("carbon", 115.23, 279.97)
    without = replace(
        plain,
        header=plain.header | {"areas": []},
        arrays=plain.arrays._replace(within_MeV_cm2_g=plain.arrays.within_MeV_cm2_g[:, :0]),
    )
    write_library(without, tmp_path / "library.h5")
    entry = read_library(tmp_path / "library.h5").entry(115.23)
    assert entry.areas == ()
    with pytest.raises(OptionError, match="'chamber': the library has depth doses in field; take one"):
        entry.ranges("chamber")


def test_figures_of_the_peak_survive(written: Path):
    library, original = read_library(written), fake_library("carbon", 115.23, 279.97, 398.84)
    for energy in original.energy_MeV_u:
        one, other = library.entry(energy).ranges(), original.entry(energy).ranges()
        assert one.R80_mm == pytest.approx(other.R80_mm, abs=1e-4)
        assert one.FWHM_mm == pytest.approx(other.FWHM_mm, abs=1e-4)


def test_spectra_are_rounded_within_their_noise(tmp_path: Path):
    """To an eighth of the error of as many particles, and nothing stays nothing."""
    plain = fake_library("carbon", 115.23, 279.97)
    random = np.random.default_rng(1).uniform(0.0, 2.0, plain.arrays.spectrum.shape) ** 4
    random[0, 3] = 0.0
    given = replace(plain, arrays=plain.arrays._replace(spectrum=random))
    write_library(given, tmp_path / "noisy.h5")
    back = read_library(tmp_path / "noisy.h5")
    error = np.sqrt(random / given.header["primaries"])
    off = np.abs(back.arrays.spectrum - random)
    assert np.all(off <= 0.125 * error + 6e-4 * random)
    assert off.max() > 0.06 * error[off == off.max()]
    assert np.all(back.arrays.spectrum[0, 3] == 0.0)


def test_same_library_same_bytes(written: Path, tmp_path: Path):
    write_library(fake_library("carbon", 115.23, 279.97, 398.84), tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == written.read_bytes()


def test_what_cannot_be_stored_is_not_written(tmp_path: Path):
    library = fake_library("carbon", 115.23, 279.97, 398.84)
    broken = library.arrays._replace(core_mm=np.full_like(library.arrays.core_mm, np.nan))
    with pytest.raises(ValueError, match="core_mm of a beam library has numbers that are not finite"):
        write_library(replace(library, arrays=broken), tmp_path / "broken.h5")
    assert not any(tmp_path.iterdir())


def test_largest_figures_fit(tmp_path: Path):
    """What few primaries make of errors and halos, and heavy ions of LET."""
    library = fake_library("carbon", 115.23, 279.97, 398.84)
    large = {"error_MeV_cm2_g": 500.0, "halo_mm": 400.0, "core_mm": 400.0, "letd_keV_um": 3000.0}
    arrays = library.arrays._replace(
        **{name: np.full_like(getattr(library.arrays, name), value) for name, value in large.items()}
    )
    write_library(replace(library, arrays=arrays), tmp_path / "large.h5")
    for name, value in large.items():
        np.testing.assert_allclose(
            getattr(read_library(tmp_path / "large.h5").arrays, name), value, rtol=6e-4
        )


def test_missing(tmp_path: Path):
    with pytest.raises(LibraryError, match=r"none\.h5: no such beam library; make it with"):
        read_library(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated(copy: Path, share: float):
    copy.write_bytes(copy.read_bytes()[: int(share * copy.stat().st_size)])
    with pytest.raises(LibraryError, match=r"truncated or altered .*; build it anew or restore it"):
        read_library(copy)


def test_altered_bytes(copy: Path):
    """Every 499th byte in turn: either it says so, or it did not matter."""
    content, harmless = copy.read_bytes(), 0
    original = read_library(copy)
    for place in range(7, len(content), 499):
        copy.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            found = read_library(copy)
        except LibraryError:
            continue
        harmless += 1
        assert found.header == original.header
        for one, other in zip(found.arrays, original.arrays, strict=True):
            np.testing.assert_array_equal(one, other)
    assert harmless < 0.3 * len(content) / 499


def test_altered_figures(copy: Path):
    """Checksums that fit what was altered do not help."""
    with h5py.File(copy, "r+") as file:
        file["field_MeV_cm2_g"][1, 5] *= 1.001
    with pytest.raises(LibraryError, match="its figures are not those that were written"):
        read_library(copy)


def test_missing_figures(copy: Path):
    with h5py.File(copy, "r+") as file:
        del file["letd_keV_um"]
    with pytest.raises(LibraryError, match="truncated or altered"):
        read_library(copy)


@pytest.mark.parametrize("version", [1, 5])
def test_other_version(copy: Path, version: int):
    with h5py.File(copy, "r+") as file:
        file.attrs["version"] = version
    with pytest.raises(
        LibraryError, match=f"has version {version} of the format, but this Spotline reads 2 to 4"
    ):
        read_library(copy)


def test_something_else(copy: Path):
    with h5py.File(copy, "r+") as file:
        file.attrs["format"] = np.bytes_(b"spotline spill")
    with pytest.raises(LibraryError, match="is no beam library"):
        read_library(copy)


# On a line


@pytest.fixture
def own_line(tmp_path: Path, written: Path) -> Path:
    """A copy of a line with a library of its own beside it."""
    toml = copy_line("cnao-h", tmp_path / "line")
    shutil.copy(written, toml.parent / "mine.h5")
    edit(toml, ('library = "cnao-carbon"', 'library = "mine.h5"'))
    return toml


def test_beside_the_line(own_line: Path):
    line = load_beamline(own_line)
    assert library_path(line, "carbon") == own_line.parent / "mine.h5"
    assert load_library(line, "carbon").ion.name == "carbon"


def test_both_clinical_lines_share_their_libraries():
    for ion in ("proton", "carbon"):
        places = {library_path(load_beamline(name), ion) for name in ("cnao-h", "cnao-v", "cnao-research")}
        assert places == {SHIPPED / f"cnao-{ion}.h5"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("momentum_spread_percent = 0.18", "momentum_spread_percent = 0.2"),
            "spread of 0.18 %, but cnao-h has 0.2 %",
        ),
        (('library = "mine.h5"\n', ""), "names no library for carbon; build one"),
        (('library = "mine.h5"', 'library = "yours.h5"'), r"yours\.h5: no such beam library"),
    ],
)
def test_library_that_is_not_of_the_line(own_line: Path, change: tuple[str, str], message: str):
    edit(own_line, change)
    with pytest.raises(LibraryError, match=message):
        load_library(load_beamline(own_line), "carbon")


def test_library_of_another_ion(own_line: Path):
    write_library(fake_library("proton", 62.73, 228.57), own_line.parent / "mine.h5")
    with pytest.raises(LibraryError, match="is a library of proton, not of carbon; build it anew for cnao-h"):
        load_library(load_beamline(own_line), "carbon")


def test_library_that_does_not_reach(own_line: Path):
    write_library(fake_library("carbon", 115.23, 279.97), own_line.parent / "mine.h5")
    with pytest.raises(
        LibraryError, match=r"reaches from 115.23 to 279.97 MeV/u, but cnao-h has carbon from"
    ):
        load_library(load_beamline(own_line), "carbon")


def test_ion_that_the_line_does_not_have():
    with pytest.raises(LibraryError, match="ion 'helium': cnao-h does not deliver it"):
        load_library(load_beamline("cnao-h"), "helium")
