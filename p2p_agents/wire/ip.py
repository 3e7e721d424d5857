"""IP addresses with a port, as structures carry them: [4 or 16 bytes, port]."""

from __future__ import annotations

import ipaddress
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.wire.cbor import array, blob, uint
from p2p_agents.wire.kinds import Custom

PORT_MAX = 65_535
IP_BYTES = (4, 16)

Address = tuple[str, int]


def pack_address(address: Address) -> list[object]:
    """Raises Malformed unless it is an IP address without a scope; a scope means nothing on another machine."""
    host, port = address
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        raise Malformed("this is not an IP address") from None
    if "%" in host:
        raise Malformed("the address has a scope")
    return [packed, uint(port, at_most=PORT_MAX, what="port")]


def unpack_address(value: Any) -> Address:
    """The inverse. Raises Malformed."""
    host, port = array(value, 2, what="address")
    if len(blob(host, what="IP address")) not in IP_BYTES:
        raise Malformed("an IP address has 4 or 16 bytes")
    return str(ipaddress.ip_address(host)), uint(port, at_most=PORT_MAX, what="port")


ANY_ADDRESS = Custom("[ip: bytes .size (4 / 16), port: 0..65535]", unpack_address, pack_address)
ADDRESS = Custom("[ip: bytes .size (4 / 16), port: 1..65535]", unpack_address, pack_address)  # of a card


def may_be_dialled(address: Address) -> bool:
    """Whether a single host may answer there: nobody can make us send to groups, or to nowhere."""
    host, port = address
    ip = ipaddress.ip_address(host)
    return port > 0 and not (ip.is_multicast or ip.is_unspecified or (ip.version == 4 and ip.is_reserved))
