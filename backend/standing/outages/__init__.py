"""Outages of the service or of a network: declared, ended and decided."""
