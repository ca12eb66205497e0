"""The site of the documentation: the pages as they are, with an order, a search and the Python names.

``scripts/docs`` builds it.  The pages stay plain Markdown that is read on any forge and in any editor; what a
site needs beyond that is added here while they are read.  Warnings are errors, so that a page that no list
names, a link that leads nowhere or a docstring that cannot be set ends the build.
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import spotline

ROOT = Path(__file__).resolve().parents[1]

project = "Spotline"
author = "The Spotline authors"
project_copyright = author
version = release = version_of("spotline")

# The source folder of the site is the repository, so that links from a page to README, examples and code lead
# there as they do on a forge.
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "docs/**"]
exclude_patterns = [".*", "build", "benchmarks", "src", "tests", "tools", "verification", "docs/conf.py"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 6
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc says them, in words
python_use_unqualified_type_names = True
default_role = "code"
add_module_names = False

html_theme = "furo"
html_title = f"Spotline {release}"
html_show_sphinx = False
html_copy_source = False

LINK = re.compile(r"\]\(([^)#\s]+\.(?:md|ipynb))\)")


def add_navigation(app: Any, docname: str, source: list[str]) -> None:
    """Make an order of pages from the lists that the index pages have anyway: one branch for each heading."""
    if docname.rpartition("/")[2] != "index":
        return
    parts = re.split(r"^## (.*)$", source[0], flags=re.MULTILINE)
    trees = []
    for heading, text in zip(["", *parts[1::2]], parts[::2], strict=True):
        pages = [re.sub(r"\.(md|ipynb)$", "", link) for link in dict.fromkeys(LINK.findall(text))]
        if pages:
            caption = f":caption: {heading}\n" if heading else ""
            trees.append("\n".join(["```{toctree}", f":hidden:\n{caption}", *pages, "```"]))
    source[0] += "\n\n" + "\n\n".join(trees) + "\n"


def add_python_names(app: Any, docname: str, source: list[str]) -> None:
    """Put the docstrings behind the table of the Python names."""
    if docname != "docs/reference/python":
        return
    lines = ["", "```{eval-rst}"]
    for name in sorted(spotline.__all__, key=str.lower):
        thing = getattr(spotline, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            lines += [f".. autoexception:: spotline.{name}"]
        elif isinstance(thing, type):
            lines += [f".. autoclass:: spotline.{name}", "   :members:"]
        else:
            lines += [f".. autofunction:: spotline.{name}"]
        lines.append("")
    source[0] += "\n".join([*lines, "```", ""])


def write_entrance(app: Any, error: Exception | None) -> None:
    """Let who opens the folder come to the first page, which is one folder below."""
    if error is None and app.builder.name == "html":
        page = '<!DOCTYPE html><meta charset="utf-8"><title>Spotline</title>'
        page += '<meta http-equiv="refresh" content="0; url=docs/index.html">'
        page += '<a href="docs/index.html">Documentation of Spotline</a>\n'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Tell Sphinx when to call them."""
    app.connect("source-read", add_navigation)
    app.connect("source-read", add_python_names)
    app.connect("build-finished", write_entrance)
    return {"parallel_read_safe": True}
