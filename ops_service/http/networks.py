"""Whose address a request comes from, and in which networks it lies."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from fastapi import Request

from ops_service.settings import Network

Address = IPv4Address | IPv6Address


def caller_of(request: Request, trusted_proxies: Sequence[Network]) -> Address | None:
    """`caller_address` of the request."""
    peer = request.client.host if request.client else ""
    forwarded = [value for name, value in request.scope["headers"] if name == b"x-forwarded-for"]
    return caller_address(peer, forwarded, trusted_proxies)


def caller_address(
    peer: str, forwarded_for: Iterable[bytes], trusted_proxies: Sequence[Network]
) -> Address | None:
    """The caller's address, or None when it cannot be told.

    It is the socket's peer; only where that is a trusted proxy, X-Forwarded-For is read, from the right, up
    to the first address that no trusted proxy has: what stands left of it, anyone may have written.
    """
    address = _address(peer)
    if not trusted_proxies or not is_within(address, trusted_proxies):
        return address
    hops = b",".join(forwarded_for).split(b",") if forwarded_for else []
    for hop in reversed(hops):
        address = _address(hop.decode("latin-1").strip())
        if not is_within(address, trusted_proxies):
            return address
    return address


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """True when the address is known and lies in one of the networks."""
    return address is not None and any(address in network for network in networks)


_WITH_PORT: Final = re.compile(
    r"(?P<four>[0-9.]+):[0-9]{1,5}|\[(?P<six>[0-9A-Fa-f:.]+(?:%[^\]]*)?)\](?::[0-9]{1,5})?"
)
"""As some proxies write an address."""


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    if written := _WITH_PORT.fullmatch(text):
        text = written["four"] or written["six"]
    try:
        # A scope id names an interface of the proxy's machine, and is no part of PostgreSQL's addresses.
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
