"""Pages from templates: HTML that holds everything, style sheet included."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from spotline.errors import OutputError


def render(template: str, **values: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        Name of a template in this package.
    **values
        What the template shows.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def check_new(path: Path) -> None:
    """Refuse a page that exists already, before any work is done for it.

    Raises
    ------
    spotline.errors.OutputError
        If there is something at the path, or no folder to put it in.
    """
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another name or remove it first")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: cannot be written (no folder {path.parent}); choose another place")


def write_page(html: str, path: Path) -> None:
    """Write a page to a new file.

    Raises
    ------
    spotline.errors.OutputError
        If the file exists already or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(html)
    except FileExistsError:  # made by somebody else while the pictures were drawn
        check_new(path)
    except OSError as error:
        path.unlink(missing_ok=True)  # was not there before, so it is half a page
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def replace_page(html: str, path: Path) -> None:
    """Write a page in place of one that may exist.

    Raises
    ------
    spotline.errors.OutputError
        If the file cannot be written.
    """
    try:
        path.write_text(html, encoding="utf-8", newline="\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: the report cannot be written ({reason}); choose another place") from error


def _source(name: str) -> str:
    return resources.files("spotline.faces.report").joinpath(name).read_text(encoding="utf-8")
