"""Write the page of the Python names, docs/reference/python.md, from the names and their docstrings.

Run it after a change of ``spotline.__all__`` or of a first line of a docstring there.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import spotline

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "python.md"

HEAD = """# Python names

What `import spotline` offers. These names, their arguments and what they mean stay as they are, or change
with a line in the [list of changes](../../CHANGELOG.md); anything deeper in the package may change without
one. Every name has a docstring (`help(spotline.deliver)`), which the site of this documentation shows below
the table.

<!-- Written by tools/make_python_reference.py -->

| name | what it is |
| --- | --- |
"""


def page() -> str:
    """The page as it should be."""
    rows = []
    for name in sorted(spotline.__all__, key=str.lower):
        thing = getattr(spotline, name)
        first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        call = "()" if inspect.isfunction(thing) else ""
        rows.append(f"| `{name}{call}` | {first} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
