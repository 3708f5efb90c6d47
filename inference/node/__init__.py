"""The DICOM node: receive studies, infer, send the results back, lose nothing."""
