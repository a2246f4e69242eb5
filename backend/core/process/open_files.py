"""Limit of open files: every connection is one, and the usual default is meant for desktops."""

import resource

import structlog

WANTED = 8192
"""Enough for thousands of open dashboards, many phones at once, and database connections."""

log = structlog.get_logger()


def raise_open_file_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit to `wanted`, or to the hard limit with a warning. Returns the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return soft
    limit = wanted if hard == unlimited else min(wanted, hard)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        log.warning(
            "the process can hold few connections: raise the hard limit of open files"
            " (LimitNOFILE= of systemd, --ulimit nofile of a container)",
            limit=limit,
            wanted=wanted,
        )
    return limit
