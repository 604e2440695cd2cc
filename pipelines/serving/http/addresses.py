"""Which addresses a stranger's word may lead to: public ones, whatever spelling or wrapping hides the others.

What is public is what IANA's registries of special addresses (RFC 6890 and its updates) leave over. The `ipaddress` of
Python 3.11 knows them in part and differs between patch releases, so what it leaves out is named here.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # RFC 4291 2.4: all that is given out today
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address
INSIDE = tuple(
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128")
)
SPECIAL = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.0.0.0/24",  # protocol assignments, RFC 6890; 192.0.0.192 answers as a cloud's metadata
        "192.88.99.0/24",  # relays of 6to4, RFC 7526
        "3fff::/20",  # documentation, RFC 9637
    )
)
METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in (
        "169.254.169.254",
        "168.63.129.16",  # Azure's, among public addresses
        "100.100.100.200",  # Alibaba's, among the carriers' own
        "192.0.0.192",  # Oracle's old one
        "fd00:ec2::254",  # AWS's, among private addresses
        "fd20:ce::254",  # Google's
    )
)


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, as the system finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def number(host: str) -> Address | None:
    """An address, also as the C library reads `2130706433`, `0x7f.1` and `0177.0.0.1`; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return None


def is_public(address: Address | None) -> bool:
    """Whether everybody may go there."""
    if address is None:
        return False
    at = _unwrapped(address)
    if isinstance(at, ipaddress.IPv6Address) and at not in GLOBAL_UNICAST:
        return False
    return at.is_global and not (at.is_multicast or at.is_reserved or at in METADATA or _is_special(at))


def is_inside(address: Address | None) -> bool:
    """Whether a name that is ours may lead there: public and private, never to metadata or to a link's neighbours."""
    if address is None:
        return False
    at = _unwrapped(address)
    return is_public(at) or (any(at in network for network in INSIDE) and at not in METADATA)


def _unwrapped(address: Address) -> Address:
    """A form of IPv6 that leads to an IPv4 address is that address. Teredo is not: it is never public."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    return inner or (ipaddress.IPv4Address(address.packed[-4:]) if address in NAT64 else address)


def _is_special(address: Address) -> bool:
    return any(address in network for network in SPECIAL)
