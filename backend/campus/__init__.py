"""Filed sites (备案办学地址) and their fences: versions, approval by the superior, freezing at launch."""
