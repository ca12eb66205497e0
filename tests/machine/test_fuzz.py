"""Whatever happens to the files of a beam line: it loads, or it is refused with a message."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spotline.errors import BeamLineError
from spotline.machine import load_beamline
from spotline.machine.load import SHIPPED

NAMES = sorted(path.name for path in (SHIPPED / "cnao-h").iterdir())
PIECES = st.one_of(
    st.binary(max_size=8),
    st.text(alphabet='0123456789.eE+-,"[]{}=# \n\r\t_nanif', max_size=12).map(str.encode),
    st.sampled_from(
        [
            b"",
            b"nan",
            b"-1",
            b"0",
            b"1e400",
            b"true",
            b"''",
            b"[]",
            b"\x00",
            b"\xef\xbb\xbf",
            b'"',
            b"9" * 400,
        ]
    ),
)


def refusal_of(line: Path) -> str | None:
    """Message with which a line is refused; None if it loads."""
    try:
        load_beamline(line)
    except BeamLineError as error:
        return str(error)
    return None


@given(name=st.sampled_from(NAMES), start=st.floats(0.0, 1.0), length=st.integers(0, 40), piece=PIECES)
@settings(max_examples=200)
def test_spoilt_file(name: str, start: float, length: int, piece: bytes):
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "line"
        shutil.copytree(SHIPPED / "cnao-h", line)
        content = (line / name).read_bytes()
        at = int(start * len(content))
        (line / name).write_bytes(content[:at] + piece + content[at + length :])
        refusal = refusal_of(line)
    assert refusal is None or (str(line) in refusal and "\n" not in refusal)


@given(name=st.sampled_from(NAMES), share=st.floats(0.0, 1.0))
@settings(max_examples=50)
def test_cut_off_file(name: str, share: float):
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "line"
        shutil.copytree(SHIPPED / "cnao-h", line)
        content = (line / name).read_bytes()
        (line / name).write_bytes(content[: int(share * len(content))])
        refusal = refusal_of(line)
    assert refusal is None or (str(line) in refusal and "\n" not in refusal)
