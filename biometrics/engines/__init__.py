"""Face engines: detection, alignment and descriptors, behind one protocol."""
