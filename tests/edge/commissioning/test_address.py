"""What somebody types as an address, and which computers may be asked from afar."""

from __future__ import annotations

import pytest

from edge.commissioning.address import PRIVATE, AddressError, is_in, networks, pinned, read, resolve

ALLOWED = networks(PRIVATE)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "path"),
    [
        ("cnc-9", "", "cnc-9", 0, ""),
        ("192.168.0.10:4840", "", "192.168.0.10", 4840, ""),
        ("::1", "", "::1", 0, ""),
        ("[fe80::1]:502", "", "fe80::1", 502, ""),
        ("opc.tcp://host:4840/UA/Server", "opc.tcp", "host", 4840, "/UA/Server"),
        ("HTTP://host/status?zone=2", "http", "host", 0, "/status?zone=2"),
        (" mqtt://host/ ", "mqtt", "host", 0, ""),
    ],
)
def test_what_an_address_means(text: str, scheme: str, host: str, port: int, path: str) -> None:
    target = read(text)
    assert (target.scheme, target.host, target.port, target.path) == (scheme, host, port, path)


@pytest.mark.parametrize("text", ["", "host:port", "host:0", "host:99999", "a b", "http://", "http://[::1", "x\ny"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(AddressError, match="is no address"):
        read(text)


@pytest.mark.parametrize(
    ("ip", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("10.255.0.1", True),
        ("172.31.0.1", True),
        ("192.168.7.1", True),
        ("::1", True),
        ("fd00::7", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("169.254.169.254", False),  # where clouds keep the secrets of their machines
        ("fe80::1", False),
        ("2001:db8::1", False),
        ("0.0.0.0", False),
    ],
)
def test_private_ranges_and_this_computer_may_be_asked_from_afar(ip: str, is_allowed: bool) -> None:
    assert is_in(ip, ALLOWED) is is_allowed


@pytest.mark.parametrize("text", ["0x7f.1", "2130706433", "127.1"])
async def test_other_spellings_of_an_address_are_judged_by_what_they_mean(text: str) -> None:
    assert await resolve(text, ALLOWED) == "127.0.0.1"
    with pytest.raises(AddressError, match="in no network that this edge may ask"):
        await resolve(text, networks("10.0.0.0/8"))


async def test_a_name_is_looked_up_once_and_its_address_asked() -> None:
    assert await pinned("http://localhost:81/status", networks("127.0.0.0/8")) == "http://127.0.0.1:81/status"
    assert await pinned("opc.tcp://[::1]:4840", ALLOWED) == "opc.tcp://[::1]:4840"
    with pytest.raises(AddressError) as refused:
        await pinned("http://8.8.8.8/", ALLOWED)
    assert refused.value.code == "not_allowed"
    assert "SHOPFLOOR_PROBE_NETWORKS" in refused.value.do


def test_no_network_at_all_can_be_stated() -> None:
    assert networks("") == ()
    assert not is_in("127.0.0.1", ())
