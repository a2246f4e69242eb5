"""How many connections a process may hold: each is an open file, and the usual limit is meant for desktops."""

import resource

import structlog

WANTED = 8192
"""Thousands of open dashboards, a rush of phones, and the database's own."""

log = structlog.get_logger()


def raise_open_file_limit(wanted: int = WANTED) -> int:
    """Use what the operator allows, up to `wanted`; what is too little is said in the log. Returns the limit."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    limit = (
        soft if soft == unlimited or soft >= wanted else wanted if most == unlimited else min(wanted, most)
    )
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    if limit != unlimited and limit < wanted:
        log.warning(
            "few connections can be held at once: raise the hard limit of open files"
            " (LimitNOFILE= of systemd, --ulimit nofile of a container)",
            limit=limit,
            wanted=wanted,
        )
    return limit
