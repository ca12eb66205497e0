"""Deliver a treatment in the calling thread: the short form of `spotline.Delivery`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from spotline.delivery.delivery import AfterSpill, Delivery, MakeRoom
from spotline.delivery.field import BLOCK_us
from spotline.delivery.progress import Orders, Report
from spotline.delivery.session import DeliveryOptions
from spotline.record.model import Record
from spotline.sim.faults import Fault
from spotline.storage import Disk
from spotline.treatment.treatment import Treatment


def deliver(
    treatment: Treatment,
    out: str | Path,
    *,
    seed: int = 0,
    raw: bool = False,
    started: datetime | None = None,
    make_room: MakeRoom | None = None,
    progress: Report | None = None,
    orders: Orders | None = None,
    block_us: int = BLOCK_us,
    faults: Iterable[Fault] = (),
    documents: bool = True,
    disk: Disk | None = None,
    after_spill: AfterSpill | None = None,
) -> Record:
    """Deliver a treatment, field by field, and write its record.

    It is `Delivery` run in the calling thread.  `progress`, `orders` and `after_spill` are older ways to
    listen to its events and to give orders, and are called by the delivery itself: it waits for them, and
    what they raise ends it.

    Parameters
    ----------
    treatment : Treatment
        From `spotline.prepare`.
    out : str or Path
        Folder to write to; it must not exist yet, or be empty.
    seed : int
        Seed of the simulated room: the same treatment and seed leave the same spill files, to the byte.
    raw : bool
        Whether to keep every frame of every chamber.
    started : datetime, optional
        When the treatment began, for the DICOM record; by default now.  It changes nothing else.
    make_room : callable, optional
        Given a field, makes the room to deliver it in; by default a simulated one.
    progress : callable, optional
        Told how far the delivery is, about fifty times per second of beam.
    orders : callable, optional
        Asked for orders of operator and supervision, as `spotline.delivery.progress.Orders` says; by default
        nobody has any.
    block_us : int
        Samples per call of the fast loop at most, a multiple of 1000.  It changes no result.
    faults : iterable of Fault
        What fails in the simulated room, the same in every field; they are kept in ``faults.toml``.
    documents : bool
        Whether to write the DICOM treatment record and the status too.
    disk : Disk, optional
        Where to write; by default the disk that there is.  With faults it must be one that can have them, a
        `spotline.sim.disk.FaultyDisk`.
    after_spill : callable, optional
        Given the folder of the record after every spill, when the file of that spill is in it and the beam is
        off: `spotline.Reconstructor.follow` adds its dose.

    Returns
    -------
    Record
        The delivery as `spotline.open_record` reads it.  If the disk fails during the delivery, that is an
        interlock in it.

    Raises
    ------
    OutputError
        If `out` is not free or cannot be written; nothing was delivered then.  What cannot be written later
        is in ``summary["unwritten"]`` of the record, and changes nothing of what was delivered.
    OptionError
        If `seed` is no whole number from 0 to 2^128 - 1 or `block_us` no multiple of 1000: nothing was
        delivered then; or if an order cannot be carried out in the state of the treatment.
    FaultError
        If a fault is none that the beam line can have.
    ValueError
        If there are faults for a room of your own or for a disk that cannot have any.
    SimulatedCrash
        If a fault ends the process; `spotline.resume` goes on from there.
    """
    options = DeliveryOptions(
        started=started, documents=documents, disk=disk, block_us=block_us, takes_orders=False
    )
    delivery = Delivery(
        treatment, out, seed=seed, raw=raw, faults=faults, make_room=make_room, options=options
    )
    delivery.attend(progress, orders, after_spill)
    return delivery.run()
