"""Evaluation of doses: comparison, gamma, and dose-volume histograms."""
