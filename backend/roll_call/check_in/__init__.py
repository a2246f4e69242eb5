"""Check-in: challenges, the intake of signed envelopes, and the upload of frames. See README.md."""
