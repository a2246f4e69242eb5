"""Accounts, sign-in, device keys, consents, and the face and portrait that a student enrols (HN334-2.3, 3.1, 3.2)."""
