"""Write the description of a beam line into a folder, as the person who keeps it would."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from spotline.errors import OutputError
from spotline.machine.load import TOML_NAME, BeamLine, load_beamline


def write_beamline(line: BeamLine, folder: str | Path) -> BeamLine:
    """Write a beam line: the TOML file, its tables, and beam libraries that lie beside it.

    A line that was read and not changed is written byte by byte as it was, and has the same hash.

    Parameters
    ----------
    line : BeamLine
        As it was read, or from `BeamLine.changed`.
    folder : str or Path
        It must not exist; it comes whole or not at all.

    Returns
    -------
    BeamLine
        The line as it is loaded from there.

    Raises
    ------
    OutputError
        If the folder exists or cannot be written.
    """
    folder = Path(folder)
    try:
        if folder.exists() or folder.is_symlink():
            raise OutputError(f"{folder}: exists; choose another folder for the beam line")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            whole = Path(temporary) / folder.name
            whole.mkdir()
            _write(line, whole)
            _check(line, whole)
            whole.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); make room or choose another folder"
        ) from error
    return load_beamline(folder)


def _write(line: BeamLine, folder: Path) -> None:
    for name, content in line.files.items():
        path = folder / (TOML_NAME if name == line.path.name else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for library in (Path(beam.library) for beam in line.facts.ions if beam.library is not None):
        is_beside = not library.is_absolute() and ".." not in library.parts
        if is_beside and (line.path.parent / library).is_file():
            (folder / library).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(line.path.parent / library, folder / library)


def _check(line: BeamLine, folder: Path) -> None:
    """Refuse to keep what would not load as the line that was to be written."""
    if load_beamline(folder).facts != line.facts:
        raise OutputError(
            f"{line.path}: its facts are not those of its files; change a beam line with BeamLine.changed"
        )
