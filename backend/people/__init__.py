"""People: students, classes, counselors, guardians, consents and attachments."""
