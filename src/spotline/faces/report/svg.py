"""A matplotlib figure as a piece of HTML.

The figure becomes inline SVG that shares the page's fonts and colours.  Clouds of thousands of points
are images inside it, so it stays small.
"""

from __future__ import annotations

import re
from io import StringIO

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from spotline.faces.report import style

IMAGE_DPI = 192  # of what is rasterized; the page shows 96 dots per inch

COLOURS = {
    style.INK: "currentColor",
    style.MUTED: "var(--muted)",
    style.GRID: "var(--grid)",
    style.BLUE: "var(--blue)",
    style.RED: "var(--red)",
    style.GREEN: "var(--green)",
}
"""Variables of the style sheet of the report."""


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for an HTML page.

    Parameters
    ----------
    figure : Figure
        Drawn in the style of `spotline.faces.report.draw`.
    name : str
        Unique in the page; identifiers inside the element begin with it.
    """
    stream = StringIO()
    with mpl.rc_context(style.STYLE):
        figure.dpi = IMAGE_DPI
        # Not `savefig`, which draws everything once without output before it draws.  Neither the time nor
        # addresses of vocabularies.
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            stream, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"), None)
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"\bfont(-family)?: ([^;\"]*?)'DejaVu Sans'[^;\"]*", _font, text)
    text = _own_identifiers(text, name)
    for colour, variable in COLOURS.items():
        text = re.sub(f"{colour}\\b", variable, text, flags=re.IGNORECASE)
    return text.strip()


def _font(match: re.Match[str]) -> str:
    """Leave the size, take the family of the page."""
    if match[1]:
        return "font-family: inherit"
    return f"font: {match[2]}var(--font)"


def _own_identifiers(text: str, name: str) -> str:
    """Drop identifiers that nothing refers to, and make the others unique in the page."""
    used = set(re.findall(r'(?:xlink:)?href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))

    def own(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]+)"', own, text)
    text = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    return text.replace("xlink:href", "href")
