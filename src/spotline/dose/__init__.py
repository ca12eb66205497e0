"""Dose: grids, patients and phantoms, and what beams do to them.

May know records, treatments, plans, the machine and physics, and no file of DICOM.  Known to DICOM, planning,
delivery, campaigns and faces.
"""
