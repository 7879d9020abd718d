"""Which addresses are on the public internet: the others are nobody's business who only sends us a URL.

What `ipaddress` calls global depends on the version of Python, and includes what is no single machine of the
internet. So for IPv6 only what IANA has opened for unicast counts, and more is taken out of both.
Sources: the IANA special-purpose address registries (RFC 6890) of IPv4 and IPv6.
"""

import ipaddress
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Carries an IPv4 address in its last 32 bits (RFC 6052), which is what a translator connects to."""

UNICAST_6: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given to networks of the internet."""

NOT_PUBLIC: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host, this network
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata of Alibaba Cloud
        "168.63.129.16/32",  # metadata and DNS of Azure: a public address, reached from inside only
        "192.0.0.0/24",  # protocols of IETF, and the metadata of Oracle Cloud
        "192.88.99.0/24",  # anycast of 6to4, given back
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocols of IETF, Teredo among them
        "2001:db8::/32",  # examples
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",  # examples
    )
)
"""What is not public, whatever this version of Python says of it."""


def plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Return whether this is the address of a machine on the public internet, as far as a number can tell."""
    address = plain(address)
    if isinstance(address, ipaddress.IPv6Address) and address not in UNICAST_6:
        return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast
