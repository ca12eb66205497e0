"""DICOM: the only place that imports pydicom and pynetdicom."""
