"""The client of a request: its network address, known only behind a configured proxy, and what it calls itself."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from backend.core.app_context import AppContext
from backend.core.web.requests import AppContextDep
from backend.settings import Settings

_MAX_USER_AGENT = 200
_IPV6_SITE_BITS = 64
"""A subscriber of IPv6 gets a network of this size, so single addresses are no limit."""


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from. `address` is None unless the deployment names its proxies."""

    address: str | None = None
    user_agent: str | None = None

    def address_key(self, app_context: AppContext, purpose: str) -> bytes | None:
        """The key under which attempts from this address are counted; a keyed hash, so that no address is stored."""
        if self.address is None:
            return None
        return app_context.keys.keyed_hash(f"{purpose}:address:{_network_of(self.address)}")


def trust_proxies(app: FastAPI, settings: Settings) -> None:
    """Let the client's address come from `X-Forwarded-For`, but only in requests of the configured proxies."""
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxy_networks))


async def _read_client(request: Request, app_context: AppContextDep) -> Client:
    agent = "".join(each for each in request.headers.get("user-agent", "") if each.isprintable())
    return Client(_read_address(request, app_context.settings), agent[:_MAX_USER_AGENT] or None)


ClientDep = Annotated[Client, Depends(_read_client)]


def _read_address(request: Request, settings: Settings) -> str | None:
    """The client's address; None without a configured proxy, and for a request of a proxy itself."""
    if not settings.trusted_proxies or request.client is None:
        return None
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _networks(settings)):
        return None
    return str(address)


def _networks(settings: Settings) -> list[IPv4Network | IPv6Network]:
    return [ip_network(each) for each in settings.proxy_networks]


def _network_of(address: str) -> str:
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_SITE_BITS), strict=False))
    return address
