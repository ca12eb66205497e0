"""DICOM: the only place that imports pydicom.

May know what it reads and writes: plans, treatments, records, doses.  Known to
planning, delivery, campaigns and faces; the rooms below take what it has read.
"""
