"""Passkeys of staff (WebAuthn): registration, sign-in with user verification, and a second factor in addition to the code."""
