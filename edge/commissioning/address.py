"""Where somebody wants to look: what they type, what computer that is, and whether it may be asked."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from edge.driver import DriverError

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE: Final = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, fc00::/7, ::1/128"
"""What may be asked from afar unless a setting says otherwise: private ranges and this computer, as text."""
_RESOLVE_S: Final = 5.0
_BARE_V6: Final = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\Z")


class AddressError(DriverError):
    """What is no address, a computer that nobody knows, or one that may not be asked from afar."""

    code = "wrong_address"


@dataclass(frozen=True, slots=True)
class Target:
    """An address as it was typed; what was left out is empty, the port 0. `host` is without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    def url(self, scheme: str, port: int, path: str = "") -> str:
        """Return the address for a plant file."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}{self.path or path}"


def read(text: str) -> Target:
    """Return what `host`, `host:port`, `[::1]:port` or `scheme://host:port/path` means; raise AddressError."""
    wanted = "write a name or an IP address, host:port, or an address like opc.tcp://192.168.0.10:4840"
    text = text.strip()
    scheme, has_scheme, rest = text.partition("://")
    if not has_scheme:
        scheme, rest = "", text
    if _BARE_V6.match(rest):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"{text!r} is no address ({error}): ", wanted) from error
    if "@" in parts.netloc:
        raise AddressError("the address has a user in it: ", "give user and password_file as options")
    if not host or port == 0 or not text.isprintable() or " " in text:
        raise AddressError(f"{text!r} is no address: ", wanted)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Target(scheme.lower(), host, port or 0, "" if path == "/" else path)


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks in a text like `10.0.0.0/8, 192.168.1.0/24`; raise ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


async def resolve(host: str, allowed: Sequence[Network] | None = None) -> str:
    """Return the IP address of a computer, which is asked for once; raise AddressError.

    With `allowed` it lies in one of these networks.
    """
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise AddressError(
            f"no computer of the name {host!r} is known: ",
            "is it spelt right? Else write its IP address, or ask who runs the network",
            code="unknown_name",
        ) from error
    ip = str(found[0][4][0]).partition("%")[0]
    if allowed is not None and not is_in(ip, allowed):
        shown = host if host == ip else f"{host} ({ip})"
        raise AddressError(
            f"{shown} is in no network that this edge may ask from afar: ",
            "add its network to SHOPFLOOR_PROBE_NETWORKS of the edge, or run `shopfloor connect` there",
            code="not_allowed",
        )
    return ip


def is_in(ip: str, allowed: Sequence[Network]) -> bool:
    """Whether an IP address lies in one of these networks."""
    address: Ip = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in allowed if network.version == address.version)


async def pinned(address: str, allowed: Sequence[Network]) -> str:
    """Return the address of a machine with the IP address in place of a name, if it may be asked; raise AddressError.

    Who connects to that looks up no name again, which might then be another computer.
    """
    target = read(address)
    ip = await resolve(target.host, allowed)
    shown = f"[{ip}]" if ":" in ip else ip
    port = f":{target.port}" if target.port else ""
    return f"{target.scheme}://{shown}{port}{target.path}"
