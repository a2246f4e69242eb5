"""Serialisation and encryption of templates and selfie records."""
