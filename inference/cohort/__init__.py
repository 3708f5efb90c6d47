"""Thousands of exams: one pipeline, one row an exam, tables that a statistician can open."""
