"""Set-up of an operating system process: logging, garbage collection, limit of open files."""
