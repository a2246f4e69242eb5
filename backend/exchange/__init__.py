"""Excel and CSV in and out, and the ports to the outside systems."""
