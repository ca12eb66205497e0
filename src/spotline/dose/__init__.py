"""Dose: grids, engine, reconstruction, comparison."""
