"""The student's view of the own standing."""
