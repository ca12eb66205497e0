"""Evaluation of doses: comparison, gamma, and dose-volume histograms.

May know grids and structures, and nothing of how a dose is made.  Known to who compares doses above
`spotline.dose`.
"""
