"""From an exam to findings: segment, count, measure, stage, report."""
