"""Payments of aid as files: reading, and recording them whole or not at all."""
