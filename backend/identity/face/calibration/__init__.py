"""Thresholds of a face engine, learned from the people of the deployment (ADR 17)."""
