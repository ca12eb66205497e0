"""Put the record of a field together from what its files hold.

There is one way: who reads a record hands over what its files hold, and who delivers what went into them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from spotline.hdf5 import as_written, keys_of, typed
from spotline.record.folder import FIELD_HEADER
from spotline.record.headers import FieldFile, InterlockRow, ReadingRow
from spotline.record.model import (
    ASSUMED,
    INTERLOCK,
    SLICE,
    SLOW_CONTROL,
    SPILL,
    SPOT,
    TREND,
    TRUTH,
    VISIT,
    FieldRecord,
    Table,
)
from spotline.record.positions import are_centred, have_width, measured_columns, merge_readings, or_nan
from spotline.record.recovered import INTERRUPTED, FieldState
from spotline.record.spill_file import Spill
from spotline.record.widths import mean_widths, sigma_iso_mm, widths_of_parts
from spotline.treatment.headers import DeliveryHeader, IsocentrePerChamber
from spotline.treatment.treatment import Slice
from spotline.treatment.treatment_file import NAME, TreatmentFile


@dataclass(slots=True, eq=False)
class FieldContent:
    """What the files of a field hold, apart from raw samples.

    Attributes
    ----------
    folder : Path
        Of the field.
    header : DeliveryHeader
        Of its treatment file.
    keys : mapping of str to object
        The same by key, with what this version does not know.
    slices : tuple of Slice
        Of its treatment file.
    treatment_sha256 : str
        Hash of both.
    state : FieldState
        What its journal says.
    spills : list of Spill
        In the order of delivery.
    remarks : tuple of str
        What is odd about the record that is gone on with.
    """

    folder: Path
    header: DeliveryHeader
    keys: Mapping[str, Any]
    slices: tuple[Slice, ...]
    treatment_sha256: str
    state: FieldState = field(default_factory=FieldState)
    spills: list[Spill] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    @classmethod
    def of_treatment(cls, folder: Path, treatment: TreatmentFile[DeliveryHeader], state: FieldState) -> Self:
        """What a treatment file and a journal hold; no spill is read yet."""
        return cls(folder, treatment.header, treatment.keys, treatment.slices, treatment.sha256, state)

    @classmethod
    def before(
        cls, folder: Path, header: DeliveryHeader, slices: tuple[Slice, ...], sha256: str = ""
    ) -> Self:
        """What is there when nothing but the treatment file is written, with this hash."""
        return cls(folder, header, _as_stored(header), slices, sha256)

    def converted(self, header: DeliveryHeader, slices: tuple[Slice, ...], sha256: str) -> None:
        """Take what a treatment file holds that has replaced the one before."""
        self.header, self.keys = header, _as_stored(header)
        self.slices, self.treatment_sha256 = slices, sha256


def _as_stored(header: DeliveryHeader) -> Mapping[str, Any]:
    """A header by key, in the order in which a treatment file has it."""
    keys: Mapping[str, Any] = json.loads(json.dumps(keys_of(header), sort_keys=True))
    return keys


def assemble(content: FieldContent, said: Mapping[str, Any]) -> FieldRecord:
    """Put the record of a field together.

    Parameters
    ----------
    content : FieldContent
        All spills included.
    said : mapping of str to object
        Content of ``field.json``.

    Raises
    ------
    RecordError
        If a header holds something else than it should, or spills and treatment do not fit together.
    """
    folder, slices, spills = content.folder, content.slices, content.spills
    with as_written(folder / NAME):
        scale = _isocentre_per_chamber(content.header)
    with as_written(folder / FIELD_HEADER):
        how = typed(FieldFile, said)
        slow_control = table_of(how.slow_control, SLOW_CONTROL)
        interlocks = table_of(how.interlocks_without_beam, INTERLOCK)
        if how.status not in ("complete", "interlock", INTERRUPTED):
            raise ValueError(f"status is {how.status!r}")
    with as_written(folder / NAME):
        spots, truth = merge_parts(slices, scale, spills)
        return FieldRecord(
            path=folder,
            number=content.header.number,
            name=content.header.name,
            header={**content.keys, **said},
            spots=spots,
            visits=visits_of(slices),
            slices=_slices(slices, spots, spills),
            spills=_spills(spills),
            trend=_trend(scale, spills),
            interlocks=_interlocks(interlocks, spills),
            slow_control=_in_time([slow_control, *(spill.slow_control for spill in spills)]),
            truth=truth,
            assumed=_assumed(slices, spills),
            readings=merge_readings(content.header.monitors, spills),
            prescribed=slices,
        )


def _isocentre_per_chamber(header: DeliveryHeader) -> IsocentrePerChamber:
    scale = header.iso_per_chamber
    if scale is None:
        raise KeyError("iso_per_chamber")
    there = [factor for factor in msgspec.structs.astuple(scale) if factor is not None]
    if not np.isfinite(there).all():
        raise ValueError("iso_per_chamber is not finite")
    if scale.pixel_x is None and None in (scale.strip_x, scale.strip_y):
        raise ValueError("iso_per_chamber has no chamber for a plane")
    return scale


def merge_parts(
    slices: tuple[Slice, ...], scale: IsocentrePerChamber, spills: list[Spill]
) -> tuple[Table, Table | None]:
    """Join what several spills delivered of a spot.

    Counts add up.  Positions are averaged with the counts behind them.

    Returns
    -------
    spots : Table
        Columns `SPOT`, in order of slice and spot.
    truth : Table or None
        Columns `TRUTH`, for the same spots.
    """
    has_truth = bool(spills) and all(spill.truth is not None for spill in spills)
    if not any(_is_used(spill.parts).any() for spill in spills):
        return np.zeros(0, SPOT), np.zeros(0, TRUTH) if has_truth else None
    parts = np.concatenate([spill.parts for spill in spills])
    slice_index = np.concatenate([np.full(len(s.parts), s.header.slice) for s in spills])
    spill_number = np.concatenate([np.full(len(s.parts), s.header.spill) for s in spills])
    spot_index = np.concatenate([s.spots[s.parts["spot"]] for s in spills])
    sums = np.concatenate([s.truth for s in spills if s.truth is not None]) if has_truth else None

    used = _is_used(parts)
    if sums is not None:
        # Ions that passed while a spot was current and made no count belong to it all the same.
        keys, spot_of = np.unique(slice_index * (spot_index.max() + 1) + spot_index, return_inverse=True)
        total = np.zeros((len(keys), sums.shape[1]))
        np.add.at(total, spot_of, sums)
        sums = total[np.unique(spot_of[used])]
    order = np.flatnonzero(used)[np.lexsort((spill_number[used], spot_index[used], slice_index[used]))]
    parts, slice_index, spill_number, spot_index = (
        a[order] for a in (parts, slice_index, spill_number, spot_index)
    )
    first = np.flatnonzero((np.diff(slice_index, prepend=-1) != 0) | (np.diff(spot_index, prepend=-1) != 0))
    last = np.append(first[1:], len(parts)) - 1

    spots = np.zeros(len(first), SPOT)
    spots["slice"], spots["spot"] = slice_index[first], spot_index[first]
    spots["spill"] = spill_number[last]
    spots["start_us"], spots["end_us"] = parts["start_tick"][last], parts["end_tick"][last]
    spots["complete"] = np.maximum.reduceat(parts["complete"], first) == 1
    counts1 = np.add.reduceat(parts["int1_counts"], first)
    counts2 = np.add.reduceat(parts["int2_counts"], first)
    _measured_positions(spots, parts, first, scale)
    moved = parts["settled_tick"][last] >= 0
    moved &= parts["from_trigger"][last] == 1
    transit = parts["settled_tick"][last] - parts["start_tick"][last]
    spots["transit_us"] = np.where(moved, transit, np.nan)
    truth = _truth(spots, sums) if sums is not None else None
    of_part = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(parts))))
    for slice_ in slices:
        here = np.flatnonzero(spots["slice"] == slice_.index)
        _planned(spots, here, slice_, counts1, counts2)
        if len(here):
            _widths(spots, here, slice_, parts, of_part, scale)
    with_width = have_width(parts, measured_columns(scale)), parts["pixel_width_valid"] == 1
    for valid, names, known in zip(
        ("width_valid", "pixel_width_valid"), ("", "pixel_"), with_width, strict=True
    ):
        spots[valid] = np.maximum.reduceat(known, first)
        spots[valid] &= np.isfinite(spots[f"sigma_x_{names}mm"]) & np.isfinite(spots[f"sigma_y_{names}mm"])
    if truth is not None:
        assert sums is not None
        _true_widths(truth, sums, slices, scale)
    return spots, truth


def _is_used(parts: Table) -> np.ndarray:
    """Whether anything was delivered; a spot that was current when the beam was already off has no count."""
    return np.asarray((parts["int1_counts"] + parts["int2_counts"] > 0) | (parts["complete"] == 1))


def _planned(spots: Table, rows: np.ndarray, slice_: Slice, counts1: np.ndarray, counts2: np.ndarray) -> None:
    """Fill in what is known of the spots of one slice from the treatment."""
    index = spots["spot"][rows]
    spots["planned_layer"][rows] = slice_.planned_layer[index]
    spots["planned_spot"][rows] = slice_.planned_spot[index]
    spots["painting"][rows] = slice_.painting[index]
    spots["particles_planned"][rows] = slice_.particles[index]
    spots["particles"][rows] = counts1[rows] * slice_.particles_per_count1[index]
    spots["particles_int2"][rows] = counts2[rows] * slice_.particles_per_count2[index]
    spots["x_planned_mm"][rows] = slice_.x_iso_mm[index]
    spots["y_planned_mm"][rows] = slice_.y_iso_mm[index]


def _measured_positions(spots: Table, parts: Table, first: np.ndarray, scale: IsocentrePerChamber) -> None:
    """Average the positions of the parts, projected to the isocentre."""
    columns = measured_columns(scale)
    valid = are_centred(parts, columns)
    # A centre of gravity outranks the strip with most counts.
    any_valid = np.maximum.reduceat(valid, first)
    spots["position_valid"] = any_valid
    group = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(parts))))
    for name, source, counts, factor in columns:
        weight = parts[counts].astype(float)
        weight[np.isnan(parts[source])] = 0.0
        if "strip" in source:
            weight[~valid & any_valid[group]] = 0.0
        total = np.add.reduceat(weight, first)
        moment = np.add.reduceat(weight * np.nan_to_num(parts[source]), first)
        with np.errstate(invalid="ignore"):
            spots[name] = moment / total * factor
    # A position from the pixels is valid, or there is none.
    spots["position_valid"] &= np.isfinite(spots["x_mm"]) & np.isfinite(spots["y_mm"])
    last = np.append(first[1:], len(parts)) - 1
    spots["x_current_A"], spots["y_current_A"] = parts["x_current_A"][last], parts["y_current_A"][last]


def _widths(
    spots: Table,
    rows: np.ndarray,
    slice_: Slice,
    parts: Table,
    of_part: np.ndarray,
    scale: IsocentrePerChamber,
) -> None:
    """Average the widths of the parts of the spots of one slice, projected to the isocentre."""
    here = np.flatnonzero((of_part >= rows[0]) & (of_part <= rows[-1]))
    for one, names in zip(measured_columns(scale), ("", "", "pixel_", "pixel_"), strict=True):
        plane = one.chamber[0]
        sigma_mm, error_mm = widths_of_parts(parts[here], one.chamber, slice_, one.iso_per_mm)
        mean_mm, mean_error_mm = mean_widths(sigma_mm, error_mm, of_part[here] - rows[0], len(rows))
        spots[f"sigma_{plane}_{names}mm"][rows] = mean_mm
        spots[f"sigma_error_{plane}_{names}mm"][rows] = mean_error_mm


def _true_widths(
    truth: Table, total: np.ndarray, slices: tuple[Slice, ...], scale: IsocentrePerChamber
) -> None:
    """True widths of the spots at the isocentre, from sums of the variance at the chambers."""
    x, y, *_ = measured_columns(scale)
    with np.errstate(invalid="ignore"):
        at_mm = np.sqrt(total[:, 5:7] / total[:, :1])
    for slice_ in slices:
        here = truth["slice"] == slice_.index
        truth["sigma_x_mm"][here] = sigma_iso_mm(
            at_mm[here, 0], x.iso_per_mm, slice_.fwhm_x_mm, slice_.fwhm_box_x_mm
        )
        truth["sigma_y_mm"][here] = sigma_iso_mm(
            at_mm[here, 1], y.iso_per_mm, slice_.fwhm_y_mm, slice_.fwhm_box_y_mm
        )


def _truth(spots: Table, total: np.ndarray) -> Table:
    """True particles and positions of the spots, from sums over their parts."""
    truth = np.zeros(len(spots), TRUTH)
    truth["slice"], truth["spot"], truth["particles"] = spots["slice"], spots["spot"], total[:, 0]
    with np.errstate(invalid="ignore"):
        for plane, column in (("x", 1), ("y", 3)):
            mean = total[:, column] / total[:, 0]
            truth[f"{plane}_mm"] = mean
            truth[f"{plane}_sd_mm"] = np.sqrt(np.maximum(0.0, total[:, column + 1] / total[:, 0] - mean**2))
    return truth


def visits_of(slices: tuple[Slice, ...]) -> Table:
    """What slices prescribe, columns `VISIT`."""
    tables = []
    for slice_ in slices:
        table = np.zeros(slice_.n_spots, VISIT)
        table["slice"], table["spot"] = slice_.index, np.arange(slice_.n_spots)
        for name in ("planned_layer", "planned_spot", "painting"):
            table[name] = getattr(slice_, name)
        table["particles_planned"] = slice_.particles
        table["x_planned_mm"], table["y_planned_mm"] = slice_.x_iso_mm, slice_.y_iso_mm
        tables.append(table)
    return np.concatenate(tables) if tables else np.zeros(0, VISIT)


def _slices(slices: tuple[Slice, ...], spots: Table, spills: list[Spill]) -> Table:
    table = np.zeros(len(slices), SLICE)
    spills_of = np.bincount([s.header.slice for s in spills], minlength=len(table))
    for row, slice_ in zip(table, slices, strict=True):
        here = spots["slice"] == slice_.index
        row["slice"], row["cycle_code"] = slice_.index, slice_.cycle_code
        row["energy_MeV_u"], row["intensity_level"] = slice_.energy_MeV_u, slice_.intensity_level
        row["spots_planned"], row["spots_delivered"] = (
            slice_.n_spots,
            np.count_nonzero(spots["complete"][here]),
        )
        row["particles_planned"], row["particles"] = slice_.particles.sum(), spots["particles"][here].sum()
        row["fwhm_x_mm"], row["fwhm_y_mm"] = slice_.fwhm_x_mm, slice_.fwhm_y_mm
        row["spills"] = spills_of[slice_.index]
        row["fwhm_box_x_mm"], row["fwhm_box_y_mm"] = slice_.fwhm_box_x_mm, slice_.fwhm_box_y_mm
        for plane in "xy":
            names = f"sigma_{plane}_mm", f"sigma_error_{plane}_mm"
            ours = np.zeros(np.count_nonzero(here), np.int64)
            found = mean_widths(spots[names[0]][here], spots[names[1]][here], ours, 1)
            for name, mean in zip(names, found, strict=True):
                row[name] = mean[0]
    return table


def _spills(spills: list[Spill]) -> Table:
    table = np.zeros(len(spills), SPILL)
    for row, spill in zip(table, spills, strict=True):
        for name in SPILL.names or ():
            key = "extraction_start_us" if name == "start_us" else name
            row[name] = (
                np.count_nonzero(spill.parts["complete"])
                if name == "spots_completed"
                else getattr(spill.header, key)
            )
    return table


def _trend(scale: IsocentrePerChamber, spills: list[Spill]) -> Table:
    tables = []
    for spill in spills:
        source = spill.trend
        table = np.zeros(len(source), TREND)
        table["time_us"] = source["tick"]
        for name in ("int1_counts", "int2_counts", "x_set_A", "y_set_A", "x_read_A", "y_read_A"):
            table[name] = source[name]
        table["x_mm"] = source["x_strip_mm"] * or_nan(scale.strip_x)
        table["y_mm"] = source["y_strip_mm"] * or_nan(scale.strip_y)
        table["slice"] = spill.header.slice
        table["spot"] = spill.spots[np.minimum(source["row"], len(spill.spots) - 1)]
        tables.append(table)
    return np.concatenate(tables) if tables else np.zeros(0, TREND)


def _assumed(slices: tuple[Slice, ...], spills: list[Spill]) -> Table:
    tables = []
    for spill in spills:
        source, slice_ = spill.assumed, slices[spill.header.slice]
        table = np.zeros(len(source), ASSUMED)
        table["spill"], table["slice"] = spill.header.spill, slice_.index
        table["spot"] = spill.spots[source["spot"]]
        for name in ("int1_counts", "int2_counts", "complete"):
            table[name] = source[name]
        table["particles"] = source["int1_counts"] * slice_.particles_per_count1[table["spot"]]
        tables.append(table)
    return np.concatenate(tables) if tables else np.zeros(0, ASSUMED)


def _interlocks(between_spills: Table, spills: list[Spill]) -> Table:
    tables = [between_spills]
    for spill in spills:
        source = spill.interlocks
        table = np.zeros(len(source), INTERLOCK)
        table["time_us"] = source["tick"]
        for name in ("cause", "value", "limit", "action"):
            table[name] = source[name]
        table["spill"], table["slice"] = spill.header.spill, spill.header.slice
        table["spot"] = spill.spots[source["spot"]]
        tables.append(table)
    return np.concatenate(tables)


def _in_time(tables: list[Table]) -> Table:
    """Readings during spills and between them, in the order in which they were taken."""
    readings = np.concatenate(tables).astype(SLOW_CONTROL)
    return readings[np.argsort(readings["time_us"], kind="stable")]


def table_of(rows: Sequence[ReadingRow] | Sequence[InterlockRow], kind: np.dtype[np.void]) -> Table:
    """Make a table of its rows; None is what is not a number."""

    def value(row: ReadingRow | InterlockRow, name: str) -> float:
        found: float | None = getattr(row, name)
        return np.nan if found is None else found

    return np.array([tuple(value(row, name) for name in kind.names or ()) for row in rows], kind)
