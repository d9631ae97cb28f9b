"""Where a request comes from: the peer's address, or what proxies that we trust say about it."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_FOR = b"x-forwarded-for"


def parse_networks(text: str) -> list[Network]:
    """The networks in a comma-separated list: `10.0.0.0/8, 2001:db8::/32, 192.0.2.1`. Raises ValueError."""
    return [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]


class TrustedProxies:
    """An ASGI layer that puts the client's address where the server put the proxy's.

    `X-Forwarded-For` is read from the right, where each proxy adds the address it was called from, as long as it was
    one of ours: whatever a client writes in there itself stands further left.
    """

    def __init__(self, app: Any, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request on."""
        if scope["type"] == "http" and scope.get("client"):
            peer = scope["client"][0]
            lines = [value for name, value in scope["headers"] if name == FORWARDED_FOR]
            if lines:
                scope["client"] = (self.client(peer, lines), 0)
        await self._app(scope, receive, send)

    def client(self, peer: str, lines: Iterable[bytes]) -> str:
        """The address of the client, whose request the peer handed us with these lines of `X-Forwarded-For`."""
        nearest = peer
        for hop in reversed(b",".join(lines).decode("latin-1").split(",")):
            if not trusts(self._networks, nearest):
                break
            address = _parse_hop(hop.strip())
            if address is None:
                break
            nearest = str(address)
        return nearest


def trusts(networks: Iterable[Network], text: str) -> bool:
    """Whether an address is of one of the networks."""
    address = _parse(text)
    return address is not None and any(address in one for one in networks)


def is_loopback(text: str) -> bool:
    """Whether an address reaches this machine only from itself."""
    address = _parse(text)
    return address is not None and address.is_loopback


def network(address: str) -> str:
    """The address, or the /64 of an IPv6 one, which is what one customer of a provider has.

    Whatever else a server calls its client stays as it is.
    """
    if ":" not in address:
        return address
    parsed = _parse(address)
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _parse(text: str) -> Address | None:
    """The address, an IPv4 one also where it is written as IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address


def _parse_hop(text: str) -> Address | None:
    """An entry of the header, as some proxies write it with a port."""
    if text.startswith("["):
        return _parse(text[1:].partition("]")[0])
    host, _, port = text.partition(":")
    return _parse(host) if port.isdigit() and host.count(".") == 3 else _parse(text)
