"""Slow checks of the simulation against published figures, run on demand."""
