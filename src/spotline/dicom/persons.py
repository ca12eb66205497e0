"""People in a treatment record: who delivered, and who reset an interlock.

All that is known of them is what they are called, as one text.
"""

from __future__ import annotations

from pydicom import Dataset

from spotline.dicom.encoding import LONG_STRING
from spotline.record.headers import FieldFile

CODING_SCHEME = "99SPOTLINE_USER"
"""Coding scheme of people: the code value is what somebody is called."""

UNKNOWN_INSTITUTION = "unknown"
_SHORT_STRING = 16
_SEPARATORS = str.maketrans(dict.fromkeys("\\=", " "))
"""They part several names, and their spellings."""
_COMPONENTS = 5
"""Family name, given name, middle name, prefix, suffix."""


def operators(outcome: FieldFile) -> list[str]:
    """Names of those who had a field begin and go on, each once, in the order in which they came."""
    found = [outcome.operator, *(session.operator for session in outcome.sessions)]
    return list(dict.fromkeys(name for name in map(_person_name, found) if name))


def _person_name(text: str) -> str:
    """A text as a person's name: by its components, or as the first of them, whatever it is."""
    name = " ".join(text.translate(_SEPARATORS).split())[: LONG_STRING - 1].rstrip()
    if "^" in name:
        return "^".join(part.strip() for part in name.split("^")[:_COMPONENTS])
    return f"{name}^" if " " in name else name  # that form without any mark is retired


def person_identification(identity: str) -> Dataset:
    """Somebody as an item of a sequence of people (DICOM PS3.3, Table 10-1)."""
    said = " ".join(identity.translate(_SEPARATORS).replace("^", " ").split())
    code = Dataset()
    if len(said) <= _SHORT_STRING:
        code.CodeValue = said
    else:
        code.LongCodeValue = said
    code.CodingSchemeDesignator = CODING_SCHEME
    code.CodeMeaning = said[:LONG_STRING].rstrip()
    person = Dataset()
    person.PersonIdentificationCodeSequence = [code]
    person.InstitutionName = UNKNOWN_INSTITUTION
    return person
