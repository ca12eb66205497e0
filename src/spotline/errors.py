"""Every error that Spotline raises on purpose.

::

    SpotlineError
    ├── PlanError        a plan that cannot be read, contradicts itself, or asks for what
    │                    the beam line cannot deliver
    ├── OptionError      a choice that cannot be had, or not together with another
    ├── BeamLineError    a beam-line description that is incomplete, unknown or inconsistent
    ├── LibraryError     a beam library that is missing, damaged, of another version or another beam
    ├── FaultError       a fault to simulate that there is not, or that cannot be read
    ├── PhysicsError     an ion, energy, material or geometry that the physics does not cover
    ├── DoseError        a dose, image, structure set, calibration or phantom that cannot be used
    ├── RecordError      a record or spill file that is truncated, altered or of another version
    ├── CourseError      a course whose ledger is broken, or that has something else to be done
    ├── MeasurementError a measurement or result that contradicts itself, or a file of them that is no such
    └── OutputError      a place to write that exists already or cannot be written

Each message says what is wrong, where (file, field, layer, attribute, index) and what to do about
it.  The command line prints the message on one line and ends with status 2.  A beam that leaves
tolerance is *not* an error: an interlock is data in the record (see `spotline.control.interlocks`).
"""

from __future__ import annotations


class SpotlineError(Exception):
    """Base of all errors that come from what the user supplied, not from a defect in the code."""


class PlanError(SpotlineError):
    """A plan is broken, or the beam line cannot deliver it."""


class OptionError(SpotlineError):
    """Something was asked for that cannot be had."""


class BeamLineError(SpotlineError):
    """A beam-line description is broken."""


class LibraryError(SpotlineError):
    """A beam library cannot be had, or is not that of the beam."""


class FaultError(SpotlineError):
    """A fault to be simulated is none that the room knows."""


class PhysicsError(SpotlineError):
    """An ion, an energy, a material or a geometry is beyond what the physics covers."""


class DoseError(SpotlineError):
    """A dose, an image, structures, a calibration or a phantom cannot be used, or do not belong together."""


class RecordError(SpotlineError):
    """A record is broken."""


class CourseError(SpotlineError):
    """A course has something else to be done, or its ledger is broken."""


class MeasurementError(SpotlineError):
    """A measurement or a result contradicts itself, or a file of results is none."""


class OutputError(SpotlineError):
    """Results cannot be written where the user asked for them."""
