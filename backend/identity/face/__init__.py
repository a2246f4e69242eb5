"""Face: enrolling a face and an ID portrait, encrypted templates, and references for matching."""
