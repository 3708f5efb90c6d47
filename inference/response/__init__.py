"""Two exams of one person: laid on each other, lesions matched, response by lesion, region and patient."""
