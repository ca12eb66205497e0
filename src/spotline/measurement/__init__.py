"""What is measured, and what comes out: measurements, results with their verdicts, and the file of results.

Every room may give results, and everything that reads them (quality assurance, verification, reports) finds
the same names in all of them.

May know units and errors, and nothing else.  Known to every room above.
"""

from __future__ import annotations

from spotline.measurement.file import ResultSet, read_results, results_text, write_results
from spotline.measurement.measurement import Axis, Condition, Measurement, Provenance
from spotline.measurement.result import Limits, Result, Verdict, finite_or_none

__all__ = [
    "Axis",
    "Condition",
    "Limits",
    "Measurement",
    "Provenance",
    "Result",
    "ResultSet",
    "Verdict",
    "finite_or_none",
    "read_results",
    "results_text",
    "write_results",
]
