"""Filed sites (备案办学地址) and their fences: versions, and their approval by the superior."""
