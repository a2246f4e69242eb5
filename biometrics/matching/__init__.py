"""Matching: templates from shots, similarity scores, decisions, and calibration of their thresholds."""
