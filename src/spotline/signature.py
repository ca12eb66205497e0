"""What people sign with: who they are, and why they do something.

It goes into journals, ledgers, pages and DICOM records, and onto terminals, so it is checked once, where it
is given.
"""

from __future__ import annotations

import unicodedata

from spotline.errors import OptionError

_NOT_WRITTEN = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: control characters, halves of others, and ends of lines and paragraphs."""


def signed(name: str, text: object) -> str:
    """Return a text that somebody has given, without blanks around it.

    Parameters
    ----------
    name : str
        What it is, for messages.
    text : object
        As it was given.

    Raises
    ------
    OptionError
        If it is no text, or has control characters or ends of lines in it.
    """
    if not isinstance(text, str):
        raise OptionError(f"{name}: is {type(text).__name__}, not text; give it as text")
    found = text.strip()
    odd = [one for one in found if unicodedata.category(one) in _NOT_WRITTEN]
    if odd:
        raise OptionError(
            f"{name}: {found!a} has a control character in it (U+{ord(odd[0]):04X}); give it as one line of "
            "plain text"
        )
    return found


def signed_by_somebody(name: str, text: object, why: str) -> str:
    """Return a text that must not be blank.

    Raises
    ------
    OptionError
        If it is blank, or `signed` refuses it; `why` says what it is needed for.
    """
    found = signed(name, text)
    if not found:
        raise OptionError(f"{name} is missing: {why}")
    return found
