"""Findings written for people, programs and archives."""
