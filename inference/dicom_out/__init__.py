"""Findings as DICOM objects: segmentations, structured report, document, projection, maps, structure set."""
