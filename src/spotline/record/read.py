"""Open a record: from the files of a delivery to the tables of `spotline.record.model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from spotline.errors import RecordError
from spotline.files import read_json
from spotline.hdf5 import as_written, keys_of, typed
from spotline.record.account import Account, account_of
from spotline.record.delivery_file import NAME as DELIVERY
from spotline.record.delivery_file import read_delivery
from spotline.record.folder import FIELD_HEADER, SUMMARY
from spotline.record.headers import FieldFile, Row
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
    Record,
    Table,
)
from spotline.record.recovered import INTERRUPTED, FieldState, field_header, read_state, recover_spill
from spotline.record.spill_file import Spill, read_spill, spill_path
from spotline.record.summary import summarize
from spotline.record.witnesses import read_states
from spotline.treatment.headers import DeliveryHeader, IsocentrePerChamber
from spotline.treatment.treatment import Slice
from spotline.treatment.treatment_file import NAME, TreatmentFile, read_treatment_file


def open_record(path: str | Path) -> Record:
    """Open the record of a delivery.

    Parameters
    ----------
    path : str or Path
        Folder that a delivery wrote.

    Returns
    -------
    Record

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered, or if a delivery has not come to its end and a journal
        knows less than the other files of the record.
    """
    folder = Path(path)
    if not (folder / SUMMARY).exists() and (folder / DELIVERY).exists():
        return _open_unfinished(folder)
    summary = read_json(folder / SUMMARY)
    fields = tuple(open_field(field) for field in field_folders(folder, summary))
    with as_written(folder / SUMMARY):
        is_old = [f["status"] for f in summary["fields"]] != [f.outcome.status for f in fields]
    if is_old and (folder / DELIVERY).exists():
        return _open_unfinished(folder)  # somebody went on with the delivery, and has not come to an end
    return Record(folder, summary, fields)


def _open_unfinished(folder: Path) -> Record:
    """Open what there is of a delivery that has not come to an end."""
    delivery = read_delivery(folder)
    fields = [
        open_field(folder / said.folder)
        for said, state in zip(delivery.fields, read_states(folder, delivery), strict=True)
        if state.begun is not None
    ]
    return Record(folder, summarize(delivery, fields, wall_s=0.0), tuple(fields))


def field_folders(folder: Path, summary: dict[str, Any]) -> list[Path]:
    """Folders of the fields of a record, in the order of delivery."""
    with as_written(folder / SUMMARY):
        return [folder / field["folder"] for field in summary["fields"]]


def open_field(folder: Path) -> FieldRecord:
    """Open the record of one field."""
    treatment = read_treatment_file(folder, DeliveryHeader)
    with as_written(folder / NAME):
        scale = _isocentre_per_chamber(treatment.header)
    state = read_state(folder)
    said = _field_keys(folder, state)
    with as_written(folder / FIELD_HEADER):
        how = typed(FieldFile, said)
        slow_control = _rows(how.slow_control, SLOW_CONTROL)
        interlocks = _rows(how.interlocks_without_beam, INTERLOCK)
        if how.status not in ("complete", "interlock", INTERRUPTED):
            raise ValueError(f"status is {how.status!r}")
    recovered = recover_spill(folder, state, treatment.slices)
    found = len(list((folder / "spills").glob("spill-*.h5")))
    n_files = how.spills - (recovered is not None)
    if found != n_files:
        raise RecordError(
            f"{folder}: {found} spill files, but {FIELD_HEADER} tells of {n_files}; restore them from a copy"
        )
    spills = [_read_own_spill(folder, number, treatment) for number in range(1, n_files + 1)]
    if recovered is not None:
        spills.append(recovered)
    with as_written(folder / NAME):
        spots, truth = merge_parts(treatment.slices, scale, spills)
        return FieldRecord(
            path=folder,
            number=treatment.header.number,
            name=treatment.header.name,
            header={**treatment.keys, **said},
            spots=spots,
            visits=_visits(treatment.slices),
            slices=_slices(treatment.slices, spots, spills),
            spills=_spills(spills),
            trend=_trend(scale, spills),
            interlocks=_interlocks(interlocks, spills),
            slow_control=_in_time([slow_control, *(spill.slow_control for spill in spills)]),
            truth=truth,
            assumed=_assumed(treatment.slices, spills),
            prescribed=treatment.slices,
        )


def read_account(folder: Path) -> Account:
    """Make the account in counts of a field that was begun, to the end of its record.

    Raises
    ------
    RecordError
        If a file is missing, truncated or altered.
    """
    treatment, state = read_treatment_file(folder, DeliveryHeader), read_state(folder)
    recovered = recover_spill(folder, state, treatment.slices)
    n_files = state.spills - (recovered is not None)
    spills = [_read_own_spill(folder, number, treatment) for number in range(1, n_files + 1)]
    return account_of(treatment.slices, [*spills, recovered] if recovered is not None else spills)


def _isocentre_per_chamber(header: DeliveryHeader) -> IsocentrePerChamber:
    scale = header.iso_per_chamber
    if scale is None:
        raise KeyError("iso_per_chamber")
    if not np.isfinite([scale.strip_x, scale.strip_y, scale.pixel_x, scale.pixel_y]).all():
        raise ValueError("iso_per_chamber is not finite")
    return scale


def _field_keys(folder: Path, state: FieldState) -> Mapping[str, Any]:
    """What is known of the delivery as a whole: from ``field.json`` unless the journal has gone on since."""
    path = folder / FIELD_HEADER
    if state.begun is None or (path.exists() and state.status != INTERRUPTED):
        keys = read_json(path)
        with as_written(path):
            is_old = state.begun is not None and int(keys["journal_entries"]) < state.entries
        if not is_old:
            return keys
    delivery = folder.parent / DELIVERY
    said = read_json(delivery) if delivery.exists() else {}
    known = {name: said[name] for name in ("started", "fraction", "operator") if name in said}
    return keys_of(msgspec.structs.replace(field_header(state), **known))


def _read_own_spill(folder: Path, number: int, treatment: TreatmentFile[DeliveryHeader]) -> Spill:
    """Read a spill file and check that it belongs to the treatment."""
    path = spill_path(folder, number)
    spill = read_spill(path)
    with as_written(path):
        for key in ("plan_sha256", "beamline_sha256", "seed"):
            if getattr(spill.header, key) != getattr(treatment.header, key):
                raise RecordError(
                    f"{path}: {key} is not that of {folder / NAME}; restore the spill of this delivery"
                )
        if spill.header.spill != number:
            raise ValueError(f"it is spill {spill.header.spill}")
        n_spots = treatment.slices[spill.header.slice].n_spots
        if not 0 <= spill.spots.min() <= spill.spots.max() < n_spots:
            raise ValueError(f"its slice has {n_spots} spots")
    return spill


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
    for slice_ in slices:
        here = np.flatnonzero(spots["slice"] == slice_.index)
        _planned(spots, here, slice_, counts1, counts2)
    return spots, _truth(spots, sums) if sums is not None else None


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
    columns = (
        ("x_mm", "x_strip_mm", "strip_x_counts", scale.strip_x),
        ("y_mm", "y_strip_mm", "strip_y_counts", scale.strip_y),
        ("x_pixel_mm", "x_pixel_mm", "pixel_counts", scale.pixel_x),
        ("y_pixel_mm", "y_pixel_mm", "pixel_counts", scale.pixel_y),
    )
    valid = parts["position_valid"] == 1
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
    last = np.append(first[1:], len(parts)) - 1
    spots["x_current_A"], spots["y_current_A"] = parts["x_current_A"][last], parts["y_current_A"][last]


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


def _visits(slices: tuple[Slice, ...]) -> Table:
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
        table["x_mm"] = source["x_strip_mm"] * scale.strip_x
        table["y_mm"] = source["y_strip_mm"] * scale.strip_y
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


def _rows(rows: Sequence[Row], kind: np.dtype[np.void]) -> Table:
    """Make a table of what a JSON file holds as objects; JSON has null for what is not a number."""

    def value(row: Row, name: str) -> Any:
        return np.nan if row[name] is None and kind[name].kind == "f" else row[name]

    return np.array([tuple(value(row, name) for name in kind.names or ()) for row in rows], kind)
