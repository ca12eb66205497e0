"""Every attribute of an ion plan that says where something stands, and what Spotline does with it.

One row each, of plan, patient setup, beam and control point (DICOM PS3.3: C.8.8.9, C.8.8.12, C.8.8.25 and
the Frame of Reference Module).  `spotline.dicom.ion_plan_geometry` walks the rows when it reads a plan, the
treatment record and written plans repeat what they mark, the reference page is made from them, and a test
sets each of them: a value that is neither used nor refused is at least told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydicom.datadict import dictionary_VR

from spotline.dicom.ion_plan_devices import DEVICES

Handling = Literal["used", "refused", "noted"]
Place = Literal["plan", "patient setup", "beam", "control point"]

PLACES: tuple[Place, ...] = ("plan", "patient setup", "beam", "control point")

_NUMBERS = ("DS", "FL", "FD", "IS")


@dataclass(frozen=True, slots=True)
class GeometryRow:
    """One attribute, and what becomes of it.

    Attributes
    ----------
    place : str
        Where it stands: ``"plan"``, ``"patient setup"``, ``"beam"`` or ``"control point"``.
    keyword : str
        DICOM keyword.
    handling : str
        ``"used"``; ``"refused"``: a plan with another value than the default is not read; or ``"noted"``:
        another value changes nothing, and is told with the plan, its preparation and its delivery.
    meaning : str
        What it is used for, why it is refused, or what does not follow it.
    default : str or float, optional
        The value that says nothing, beside an empty one.
    recorded : bool
        Whether the treatment record and a plan that is written again repeat it.
    """

    place: Place
    keyword: str
    handling: Handling
    meaning: str
    default: str | float | None = None
    recorded: bool = False

    @property
    def vr(self) -> str:
        """Value Representation."""
        return dictionary_VR(self.keyword)

    @property
    def is_number(self) -> bool:
        """Whether it is one number or several."""
        return self.vr in _NUMBERS

    @property
    def is_static(self) -> bool:
        """Whether it is a number that must not change from control point to control point."""
        return self.place == "control point" and self.is_number and self.handling != "noted"


_MOVING = "nothing moves while there is beam: plan a static beam"
_TURNED = "Spotline knows level tables only, and would place dose in a patient who lies level: plan with 0"
_CHAIR = "Spotline knows tables only, no chair: plan for a table"
_ECCENTRIC = "Spotline knows no eccentric table: plan with 0"


def _direction(keyword: str) -> GeometryRow:
    return GeometryRow("control point", keyword, "refused", _MOVING, "NONE", recorded=True)


def _device_rows() -> Iterator[GeometryRow]:
    for device in DEVICES:
        what = f"{device.kind.replace('_', ' ')}: the beam line must have it"
        yield GeometryRow("beam", device.sequence, "used", what)
        if device.settings:
            yield GeometryRow("control point", device.settings, "used", f"{what}, IN or OUT as set here")


ROWS: tuple[GeometryRow, ...] = (
    GeometryRow(
        "plan", "FrameOfReferenceUID", "used", "CT, structures and doses must have the same in `dose`"
    ),
    GeometryRow("plan", "PositionReferenceIndicator", "noted", "isocentres are coordinates, of no landmark"),
    GeometryRow("plan", "RTPlanGeometry", "used", "TREATMENT_DEVICE: the plan needs no frame of reference"),
    GeometryRow(
        "patient setup", "PatientSetupNumber", "used", "a beam refers to its setup by it", recorded=True
    ),
    GeometryRow(
        "patient setup",
        "PatientPosition",
        "used",
        "turns the beams that refer to it into the patient in `dose`",
        recorded=True,
    ),
    GeometryRow("patient setup", "PatientAdditionalPosition", "noted", "words for who positions the patient"),
    GeometryRow("patient setup", "FixationDeviceSequence", "noted", "nothing is computed through it"),
    GeometryRow("patient setup", "ShieldingDeviceSequence", "noted", "nothing is computed through it"),
    GeometryRow("patient setup", "SetupTechnique", "noted", "the isocentre decides", "ISOCENTRIC"),
    GeometryRow("patient setup", "SetupTechniqueDescription", "noted", "words for who positions the patient"),
    GeometryRow("patient setup", "SetupDeviceSequence", "noted", "the isocentre decides"),
    GeometryRow("patient setup", "TableTopVerticalSetupDisplacement", "noted", "the isocentre decides", 0.0),
    GeometryRow(
        "patient setup", "TableTopLongitudinalSetupDisplacement", "noted", "the isocentre decides", 0.0
    ),
    GeometryRow("patient setup", "TableTopLateralSetupDisplacement", "noted", "the isocentre decides", 0.0),
    GeometryRow("patient setup", "MotionSynchronizationSequence", "noted", "the beam is not gated"),
    GeometryRow("beam", "BeamType", "used", "STATIC or DYNAMIC, for the record", "STATIC", recorded=True),
    GeometryRow("beam", "TreatmentMachineName", "used", "compared with the name of the beam line, and told"),
    GeometryRow(
        "beam", "VirtualSourceAxisDistances", "used", "compared with the magnets of the beam line, and told"
    ),
    GeometryRow("beam", "ReferencedPatientSetupNumber", "used", "says how the patient lies for this beam"),
    GeometryRow("beam", "PatientSupportType", "refused", _CHAIR, "TABLE", recorded=True),
    GeometryRow("beam", "PatientSupportID", "used", "for the record", recorded=True),
    GeometryRow("beam", "PatientSupportAccessoryCode", "used", "for the record", recorded=True),
    GeometryRow(
        "beam", "ReferencedToleranceTableNumber", "noted", "tolerances of table and gantry are not checked"
    ),
    GeometryRow("beam", "FixationLightAzimuthalAngle", "noted", "there is no fixation light"),
    GeometryRow("beam", "FixationLightPolarAngle", "noted", "there is no fixation light"),
    GeometryRow("beam", "FixationEye", "noted", "there is no fixation light"),
    GeometryRow("beam", "SnoutSequence", "noted", "nothing is computed through a snout"),
    GeometryRow("beam", "GeneralAccessorySequence", "noted", "nothing is computed through an accessory"),
    GeometryRow("beam", "ApplicatorSequence", "refused", "no beam line has a holder for one: plan without"),
    GeometryRow(
        "beam",
        "TotalBlockTrayWaterEquivalentThickness",
        "refused",
        "no beam line has a tray in the beam: plan without",
        0.0,
    ),
    GeometryRow(
        "beam",
        "TotalWedgeTrayWaterEquivalentThickness",
        "refused",
        "no beam line has a tray in the beam: plan without",
        0.0,
    ),
    GeometryRow("control point", "GantryAngle", "used", "the beam line must reach it; `dose`", recorded=True),
    _direction("GantryRotationDirection"),
    GeometryRow(
        "control point",
        "GantryPitchAngle",
        "refused",
        "Spotline knows gantries that turn about one axis only: plan with 0",
        0.0,
        recorded=True,
    ),
    _direction("GantryPitchRotationDirection"),
    GeometryRow(
        "control point",
        "BeamLimitingDeviceAngle",
        "used",
        "for the record: spots are placed in the gantry system, which it does not turn",
        0.0,
        recorded=True,
    ),
    _direction("BeamLimitingDeviceRotationDirection"),
    GeometryRow("control point", "BeamLimitingDevicePositionSequence", "noted", "no collimator is computed"),
    GeometryRow("control point", "PatientSupportAngle", "used", "`dose`", 0.0, recorded=True),
    _direction("PatientSupportRotationDirection"),
    GeometryRow("control point", "TableTopVerticalPosition", "used", "for the record", recorded=True),
    GeometryRow("control point", "TableTopLongitudinalPosition", "used", "for the record", recorded=True),
    GeometryRow("control point", "TableTopLateralPosition", "used", "for the record", recorded=True),
    GeometryRow("control point", "TableTopPitchAngle", "refused", _TURNED, 0.0, recorded=True),
    _direction("TableTopPitchRotationDirection"),
    GeometryRow("control point", "TableTopRollAngle", "refused", _TURNED, 0.0, recorded=True),
    _direction("TableTopRollRotationDirection"),
    GeometryRow("control point", "TableTopEccentricAngle", "refused", _ECCENTRIC, 0.0),
    GeometryRow("control point", "TableTopEccentricAxisDistance", "refused", _ECCENTRIC, 0.0),
    GeometryRow("control point", "TableTopEccentricRotationDirection", "refused", _MOVING, "NONE"),
    GeometryRow("control point", "HeadFixationAngle", "refused", _CHAIR, 0.0),
    GeometryRow("control point", "ChairHeadFramePosition", "refused", _CHAIR, 0.0),
    GeometryRow("control point", "IsocenterPosition", "used", "`dose`"),
    GeometryRow("control point", "SurfaceEntryPoint", "noted", "`dose` finds the surface in the CT"),
    GeometryRow("control point", "ExternalContourEntryPoint", "noted", "`dose` finds the surface in the CT"),
    GeometryRow("control point", "SnoutPosition", "used", "for the record", recorded=True),
    *_device_rows(),
)
"""All attributes of the geometry, those of a place together but for the devices at the end."""

STATIC_NUMBERS = tuple(row.keyword for row in ROWS if row.is_static)
"""Numbers of the control points that must stay as they are at the first."""


def rows_of(place: Place) -> tuple[GeometryRow, ...]:
    """Rows of one place."""
    return tuple(row for row in ROWS if row.place == place)
