"""Devices: registering a phone for a student, and the device key bound to it."""
