"""Loading facts, locking students, saving and replaying assessments."""
