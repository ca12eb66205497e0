"""Pages from templates: HTML that holds everything, style sheet included."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from spotline.errors import OutputError
from spotline.storage import publish


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
        publish(html.encode(), path, is_new=True)
    except FileExistsError:  # made by somebody else while the pictures were drawn
        check_new(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from None


def replace_page(html: str, path: Path) -> None:
    """Write a page in place of one that may exist; if it cannot be written whole, that one stays.

    Raises
    ------
    spotline.errors.OutputError
        If the file cannot be written.
    """
    try:
        publish(html.encode(), path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: the report cannot be written ({reason}); choose another place") from error


def _source(name: str) -> str:
    return resources.files("spotline.faces.report").joinpath(name).read_text(encoding="utf-8")
