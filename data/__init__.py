"""Exams come in: reading, geometry, simulation. Knows no other folder of the project."""
