"""Dose: grids, patients and phantoms, and what beams do to them."""
