"""The treatment file of a field (``treatment.h5``): what was to be delivered, in machine units."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spotline.preparation.treatment import Slice
from spotline.record.hdf5 import header_of, new_file, open_file, plain, publish_file, put, text

FORMAT = "spotline-treatment"
VERSION = 1
NAME = "treatment.h5"


@dataclass(frozen=True, slots=True, eq=False)
class TreatmentFile:
    """Content of a treatment file: the header of the field and its slices."""

    header: dict[str, Any]
    slices: tuple[Slice, ...]


def write_treatment_file(folder: Path, header: dict[str, Any], slices: tuple[Slice, ...]) -> None:
    """Write ``treatment.h5``: one group per slice, one dataset or attribute per attribute of `Slice`."""
    with new_file(folder / NAME) as file:
        file.attrs.update(format=text(FORMAT), version=VERSION)
        file.attrs["header"] = text(json.dumps(header, sort_keys=True))
        for slice_ in slices:
            group = file.create_group(f"slices/{slice_.index:04d}")
            for attribute in fields(Slice):
                value = getattr(slice_, attribute.name)
                if isinstance(value, np.ndarray):
                    put(group, attribute.name, value)
                else:
                    group.attrs[attribute.name] = text(value) if isinstance(value, str) else value
        publish_file(file, folder / NAME)


def read_treatment_file(folder: Path) -> TreatmentFile:
    """Read ``treatment.h5``.

    Raises
    ------
    spotline.errors.RecordError
        If it is missing or broken.
    """
    with open_file(folder / NAME, FORMAT, VERSION) as file:
        header = header_of(file)
        if not isinstance(header, dict):
            raise ValueError("the header is no table of keys")
        slices = []
        for name in sorted(file["slices"]):
            group = file["slices"][name]
            values = {key: plain(value) for key, value in group.attrs.items()}
            values.update({key: dataset[()] for key, dataset in group.items()})
            slices.append(Slice(**values))
    return TreatmentFile(header, tuple(slices))
