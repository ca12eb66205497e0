"""An independent validator of DICOM files finds no fault with records."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.dicom.treatment_record import write_treatment_record
from spotline.plan import Plan
from tests.dicom.delivered import INTERRUPTED, REORDERED, STOP, TRIP, TWO_MORE, field_record
from tests.dicom.validator import needs_validator, validator_says

RESET = {
    "latched": [],
    "resets": [{"identity": "L. Meitner", "reason": "tested", "time_us": STOP[1], "released": []}],
}

# What the validator says although nothing is wrong.
FALSE_ALARMS = (
    # It does not know the enumerated values of this attribute.
    "Error - Unrecognized enumerated value <NOT_VERIFIED>",
    # The release of Debian 12 does not know the interlocks and the text of the termination yet.
    "Warning - Attribute is not present in standard DICOM IOD - (0x300a,0x07",
    "Warning - Attribute is not present in standard DICOM IOD - (0x0008,0x01",  # codes of the interlocks
    "Warning - Attribute is not present in standard DICOM IOD - (0x0008,0x0080)",  # who reset one
    "Warning - Attribute is not present in standard DICOM IOD - (0x0040,0x1101)",  # likewise
    "Warning - Dicom dataset contains attributes not present in standard DICOM IOD",
)


@needs_validator
@pytest.mark.parametrize(
    ("number", "spots", "more"),
    [
        (1, None, {}),
        (1, REORDERED, {"interlocks": [TRIP], "unmeasured": [(0, 3)]}),
        (1, INTERRUPTED, {"interlocks": [TRIP, STOP], "passive_elements": ["RS30", "RIFI1", "OTHER"]}),
        (1, [], {"interlocks": [STOP]}),
        (1, None, {"interlocks": [STOP], "register": RESET, "fraction": 7, "operator": "A. Physicist"}),
        (1, None, {"visits": [[(0, 0), (0, 1), (0, 2), (0, 3)], *TWO_MORE] * 3}),
        (2, None, {}),
    ],
)
def test_independent_validator_finds_no_fault(
    number: int, spots: list[tuple[int, int]] | None, more: dict[str, object], plan: Plan, tmp_path: Path
):
    path = tmp_path / "record.dcm"
    write_treatment_record(field_record(plan, number, spots, **more), plan, path)  # type: ignore[arg-type]
    output = validator_says(path)
    assert "RTIonBeamsTreatmentRecord" in output
    messages = [line for line in output if line != "RTIonBeamsTreatmentRecord"]
    assert [line for line in messages if not line.startswith(FALSE_ALARMS)] == []
    if "interlocks" not in more:
        assert [message.startswith(FALSE_ALARMS[0]) for message in messages] == [True]
