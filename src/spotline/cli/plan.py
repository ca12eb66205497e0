"""The verbs of ``spotline plan``."""

from __future__ import annotations

from cyclopts import App

plan = App(name="plan", help="Look at a plan, or write one for quality assurance.")
