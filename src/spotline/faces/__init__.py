"""Faces: what people and other programs see of Spotline; nobody imports one.

They ask, show and write pages, and decide nothing.  May know every other room; known to nobody.
"""
