"""The verb ``resume``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from spotline.faces.cli.common import STATUS_DONE, STATUS_INTERLOCK, Switch, WithPage
from spotline.faces.cli.course import opened
from spotline.faces.cli.deliver import (
    REPORT,
    BeamGivenError,
    failed_with_beam,
    in_words,
    run_shown,
    tell_unwritten,
    write_page,
)


def resume(
    record: Path,
    *,
    operator: str = "",
    reason: str = "",
    beamline: str | None = None,
    course: Path | None = None,
    quiet: Switch = False,
    report: WithPage = True,
) -> int:
    """Go on with a delivery that was stopped by an interlock, killed, or lost its power.

    What may have been delivered without being confirmed counts as delivered.  A record that is complete
    stays as it is.

    Exit status: 0 delivered whole, 2 bad input (nothing delivered), 3 stopped by an interlock again.

    Parameters
    ----------
    record
        Folder of the delivery.
    operator
        Who has the delivery go on, and has looked at what stopped it; kept in the record.
    reason
        Why it may; kept in the record.
    beamline
        Path of the beam line, if it is not where it was.
    course
        Folder of the course that the record belongs to, if it is not where it was.
    quiet
        Say nothing but errors.
    report
        Write report.html; without, the one from before stays, and does not know what came after.
    """
    began = time.perf_counter()
    import spotline
    from spotline.delivery.resume import remarks_on
    from spotline.record.delivery_file import read_delivery
    from spotline.record.witnesses import read_states

    begun = read_delivery(record)
    states = read_states(record, begun)
    options = spotline.DeliveryOptions(takes_orders=False, course=None if course is None else opened(course))
    delivery = spotline.resumption(
        record, operator=operator, reason=reason, beamline=beamline, options=options
    )
    for remark in remarks_on(begun):
        print(f"spotline: {record}: {remark}", file=sys.stderr)
    try:
        after = run_shown(delivery, quiet)
    except BeamGivenError as error:
        return failed_with_beam(error, record)
    tell_unwritten(after)
    nothing_left = all(state.status == "complete" for state in states)
    has_page = nothing_left and (record / REPORT).exists()
    if report and not has_page:
        has_page = write_page(after, record)
    if not quiet:
        if nothing_left:
            print("nothing is left to deliver")
        print(in_words(after.outcome, record, time.perf_counter() - began, has_page=has_page))
    return STATUS_DONE if after.outcome.status == "complete" else STATUS_INTERLOCK
