"""Pictures and tables of a delivery: one HTML file that needs nothing else.

`write_report` writes the file, `figure_overview` draws one picture of a delivery.  Both read a record
and nothing else; matplotlib and Jinja2 are imported when they are called.

May know every room, and no commands.  Known to the command line, and to the root of the package that offers
`write_report`.
"""

from __future__ import annotations

from spotline.faces.report.report import figure_overview, write_report

__all__ = ["figure_overview", "write_report"]
