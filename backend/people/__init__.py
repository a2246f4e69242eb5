"""Students, classes, counselors, guardians and consents: who is on the roll."""
