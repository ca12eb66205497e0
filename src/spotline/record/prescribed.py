"""What the spots of the plan received, however many visits that took."""

from __future__ import annotations

import numpy as np

from spotline.arrays import Integers
from spotline.record.model import WIDTH_COLUMNS, Columns, FieldRecord, Table, dtype_of
from spotline.record.widths import mean_widths

PRESCRIBED_COLUMNS: Columns = (
    ("planned_layer", "i4", "index of the layer in the plan's field, from 0"),
    ("planned_spot", "i4", "index of the spot in that layer of the plan, from 0"),
    ("visits_planned", "i4", "how often it was to be visited"),
    ("visits", "i4", "visits in which anything was delivered"),
    ("visits_complete", "i4", "visits that reached their prescribed counts"),
    ("complete", "?", "whether all visits did"),
    ("position_valid", "?", "position is made of centres of gravity; else of strips with most counts"),
    ("particles_planned", "f8", "prescribed particles, all visits together"),
    ("particles", "f8", "particles measured with INT1, likewise"),
    ("particles_int2", "f8", "particles measured with INT2, likewise"),
    ("x_planned_mm", "f8", "prescribed position at the isocentre"),
    ("y_planned_mm", "f8", "likewise"),
    ("x_mm", "f8", "mean of the positions measured with StripX, by particles; NaN if never measured"),
    ("y_mm", "f8", "the same with StripY"),
    *WIDTH_COLUMNS,
)
PRESCRIBED = dtype_of(PRESCRIBED_COLUMNS)
"""Columns of `prescribed_spots`."""


def prescribed_spots(record: FieldRecord) -> Table:
    """Join the visits to every spot that the plan prescribes.

    Parameters
    ----------
    record : FieldRecord
        A field, repainted or not.

    Returns
    -------
    Table
        Columns `PRESCRIBED`: every spot of the treatment, delivered or not, in the order of the plan.
        Without repainting these are the rows of ``record.spots`` and what was never reached.
    """
    places = np.concatenate(
        [
            np.column_stack([table["planned_layer"], table["planned_spot"]])
            for table in (record.visits, record.spots)
        ]
    )
    keys, row = np.unique(places, axis=0, return_inverse=True)
    n = len(keys)
    planned, delivered = np.split(row.ravel(), [len(record.visits)])
    spots = record.spots
    table = np.zeros(n, PRESCRIBED)
    table["planned_layer"], table["planned_spot"] = keys[:, 0], keys[:, 1]
    table["visits_planned"] = np.bincount(planned, minlength=n)
    table["visits"] = np.bincount(delivered, minlength=n)
    table["visits_complete"] = np.bincount(delivered[spots["complete"]], minlength=n)
    table["complete"] = table["visits_complete"] == table["visits_planned"]
    table["particles_planned"] = np.bincount(planned, record.visits["particles_planned"], n)
    for name in ("x_planned_mm", "y_planned_mm"):
        table[name][planned] = record.visits[name]
    join_measured(table, delivered, spots)
    return table


def join_measured(table: Table, row: Integers, measured: Table) -> None:
    """Add up particles and average positions by them, where several rows belong to one spot.

    Parameters
    ----------
    table : Table
        Takes the columns ``particles``, ``particles_int2``, ``position_valid``, ``x_mm``, ``y_mm`` and
        those of `WIDTH_COLUMNS`; widths are averaged by their uncertainty.
    row : ndarray of int, shape (n,)
        Row of `table` to which each row of `measured` belongs.
    measured : Table
        The same columns, shape (n,).
    """
    n = len(table)
    for name in ("particles", "particles_int2"):
        table[name] = np.bincount(row, measured[name], n)
    table["position_valid"][row[measured["position_valid"]]] = True
    # A centre of gravity outranks the strip with most counts.
    counts = measured["position_valid"] | ~table["position_valid"][row]
    for name in ("x_mm", "y_mm"):
        used = counts & np.isfinite(measured[name])
        weight = np.bincount(row[used], measured["particles"][used], n)
        moment = np.bincount(row[used], (measured["particles"] * measured[name])[used], n)
        with np.errstate(invalid="ignore"):
            table[name] = moment / weight
    for plane in "xy":
        sigma, error = f"sigma_{plane}_mm", f"sigma_error_{plane}_mm"
        table[sigma], table[error] = mean_widths(measured[sigma], measured[error], row, n)
    table["width_valid"] = np.isfinite(table["sigma_x_mm"]) & np.isfinite(table["sigma_y_mm"])
