"""Imports and exports of Excel and CSV files."""
