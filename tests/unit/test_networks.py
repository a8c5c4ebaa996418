"""Who is calling, and whether that address may."""

from ipaddress import ip_address, ip_network

import pytest

from ops_service.http.networks import caller_address, is_within
from ops_service.settings import PRIVATE_NETWORKS

PROXIES = [ip_network("10.0.0.0/24"), ip_network("2001:db8::/64")]
PRIVATE = [ip_network(part) for part in PRIVATE_NETWORKS.split(",")]


def caller(peer: str, *forwarded: str) -> str | None:
    address = caller_address(peer, [value.encode() for value in forwarded], PROXIES)
    return str(address) if address else None


def test_without_trusted_proxies_the_header_counts_for_nothing() -> None:
    assert caller_address("203.0.113.9", [b"127.0.0.1"], []) == ip_address("203.0.113.9")
    assert caller_address("127.0.0.1", [b"203.0.113.9"], []) == ip_address("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", ["127.0.0.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1,203.0.113.9 , 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("2001:db8::1", ["2001:db8:1::7"], "2001:db8:1::7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1, nonsense"], None),
        ("10.0.0.1", ["127.0.0.1, "], None),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.9:80"], "203.0.113.9"),
        ("10.0.0.1", ["127.0.0.1, [2001:db8:1::7]:80"], "2001:db8:1::7"),
        ("10.0.0.1", ["127.0.0.1, [2001:db8:1::7]"], "2001:db8:1::7"),
        ("10.0.0.1", ["127.0.0.1, fe80::7%eth0"], "fe80::7"),
        ("10.0.0.1", ["127.0.0.1, [fe80::7%eth0]:80"], "fe80::7"),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.9:"], None),
        ("10.0.0.1", ["127.0.0.1, [203.0.113.9:80"], None),
        ("10.0.0.1", ["127.0.0.1, \xff"], None),
        ("", ["127.0.0.1"], None),
        ("testclient", ["127.0.0.1"], None),
    ],
)
def test_hops_are_read_from_the_right_up_to_the_first_stranger(
    peer: str, forwarded: list[str], address: str | None
) -> None:
    assert caller(peer, *forwarded) == address


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("192.168.200.1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("172.32.0.1", False),
        ("192.169.0.1", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("0.0.0.0", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:192.168.0.9", True),
        ("169.254.1.1", False),
    ],
)
def test_by_default_only_this_machine_and_private_networks_may_call(address: str, allowed: bool) -> None:
    assert is_within(caller_address(address, [], []), PRIVATE) is allowed


def test_an_unknown_address_is_never_allowed() -> None:
    assert not is_within(None, [ip_network("0.0.0.0/0"), ip_network("::/0")])
