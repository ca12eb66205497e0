"""Ions in matter: kinematics, stopping and range, scattering.

May know the ground only.  Known to every other room.
"""
