"""Ions in matter: kinematics, stopping and range, scattering."""
