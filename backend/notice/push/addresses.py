"""Which addresses of push services this server sends to. A subscription comes from a client, so its address is not trusted."""

from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_LENGTH = 2048


def is_push_address(endpoint: str, hosts: tuple[str, ...], *, in_production: bool) -> bool:
    """Whether `endpoint` is an https address of one of the `hosts`, on the usual port and without credentials.

    Outside of production, a host of the list may also be a fake on this machine: `127.0.0.1:port`, with http.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    if len(endpoint) > MAX_LENGTH or not endpoint.isascii() or parts.username is not None or parts.fragment:
        return False
    if host in _LOOPBACK:
        return not in_production and parts.scheme in {"http", "https"} and f"{host}:{port}" in hosts
    return parts.scheme == "https" and port is None and any(_matches(host, allowed) for allowed in hosts)


def origin_of(endpoint: str) -> str:
    """The origin of an address, for which a VAPID token is made."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _matches(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
