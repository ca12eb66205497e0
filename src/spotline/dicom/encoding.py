"""What every DICOM file that Spotline writes has in common.

The encoding is Implicit VR Little Endian, because a layer of more than 8191 spots does not fit into the
64 kB that explicit VR allows an array of floats; a file that is only completed keeps its own.  Unique
identifiers are made from content, so that the same input makes the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ImplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from spotline.errors import OutputError
from spotline.physics.ions import PROTON, Ion
from spotline.storage import confirm_written, give_name, sync_folder

LONG_STRING = 64
"""Characters in a value of VR LO."""

SHORT_STRING = 16
"""Characters in a value of VR SH."""

_UID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "rt-ion-plan.spotline")


def uid(*parts: str) -> str:
    """Unique identifier that is made from texts: the same texts make the same identifier."""
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, '|'.join(parts)).int}"


def decimal(number: float) -> str:
    """Write a number as a decimal string of at most 16 characters."""
    return format_number_as_ds(float(number))


def content_digest(dataset: Dataset, *, implicit_vr: bool = True) -> str:
    """Hash of all elements of a dataset without file meta information, hexadecimal."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=implicit_vr, little_endian=True)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def file_bytes(dataset: Dataset, transfer_syntax: UID = ImplicitVRLittleEndian) -> bytes:
    """Encode a dataset that has its SOP class and instance UID as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = UID(uid("implementation"))
    meta.ImplementationVersionName = "SPOTLINE"
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, as a whole or not at all.

    Raises
    ------
    OutputError
        If the file exists already or cannot be written.
    """
    with ready_to_appear(path, content):
        pass


@contextmanager
def ready_to_appear(path: Path, content: bytes) -> Iterator[Path]:
    """Have a file that must not exist yet on the disk, and give it its name at the end of the block.

    If anything fails before, it never appears.

    Yields
    ------
    Path
        Name that it has meanwhile.

    Raises
    ------
    OutputError
        If the file exists already or cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _as_output(path):
            if path.exists():
                raise FileExistsError
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                confirm_written(file.fileno())
        yield part
        with _as_output(path):
            give_name(part, path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _as_output(path: Path) -> Iterator[None]:
    """Say which file cannot be written."""
    try:
        yield
    except FileExistsError:
        raise OutputError(f"{path}: exists already; choose another name or remove it first") from None
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def set_ion(beam: Dataset, ion: Ion) -> None:
    """Set the radiation type, and which ion it is unless it is a proton."""
    if ion == PROTON:
        beam.RadiationType = "PROTON"
        return
    beam.RadiationType = "ION"
    beam.RadiationMassNumber = ion.mass_number
    beam.RadiationAtomicNumber = ion.charge_number
    beam.RadiationChargeState = ion.charge_number


def new_dataset(sop_class_uid: str, modality: str) -> Dataset:
    """Begin a dataset of a class: what all that is written here has in common."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class_uid
    dataset.Modality = modality
    dataset.Manufacturer = "Spotline"
    dataset.ManufacturerModelName = "Spotline"
    dataset.SoftwareVersions = "1"
    dataset.OperatorsName = ""
    dataset.SeriesNumber = "1"
    return dataset
