"""Planning: what needs plans, beam line, treatment, records and dose at once.

Reading a plan of any format, QA fields and cubes, what a plan asks of a line, what is left of a delivery, and
the folder of a preparation.  May know DICOM and every room below it.  Known to delivery, campaigns and faces.
"""
