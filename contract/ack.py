"""The words of the end-to-end acknowledgement between an edge node and the gateway.

A node that can be acknowledged declares the string metric `Spool/Ack` in its NBIRTH; the `uuid` of each of its DATA
payloads is `<epoch>:<n>`; the gateway answers by NCMD with the metric `Spool/Ack` = `<epoch>:1-500,620-640`.

The value in the NBIRTH is `<epoch>:<n>`: no number above n was ever sent in this epoch (0: none). When the gateway has
received higher ones, the spool was put back to an earlier copy; it then answers `<epoch>:renew` and takes nothing more
of that epoch, and the node begins another one. A node that declares an empty value is acknowledged all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

SPOOL_ACK: Final = "Spool/Ack"
LAST_N: Final = 2**63 - 1

_UUID: Final = re.compile(r"([0-9a-z]{1,32}):([1-9][0-9]{0,18})\Z")
_GIVEN: Final = re.compile(r"([0-9a-z]{1,32}):([0-9]{1,19})\Z")
_RENEW: Final = "renew"
_ACK: Final = re.compile(r"([0-9a-z]{1,32}):((?:[0-9]{1,19}(?:-[0-9]{1,19})?(?:,(?=[0-9])|\Z))*)\Z")


class AckError(ValueError):
    """A uuid or an acknowledgement that does not have the promised form."""


class Ack(NamedTuple):
    """The messages of one epoch that are committed: closed intervals, ascending, disjoint.

    `renew`: none are, nor will be; the node is to begin another epoch.
    """

    epoch: str
    intervals: list[tuple[int, int]]
    renew: bool = False


def format_uuid(epoch: str, n: int) -> str:
    """Return the uuid of the n-th message of an epoch."""
    return f"{epoch}:{n}"


def parse_uuid(uuid: str) -> tuple[str, int]:
    """Return epoch and n of a payload's uuid; raise AckError for one that is not of this form (a foreign node's)."""
    match = _UUID.match(uuid)
    if match is None or int(match[2]) > LAST_N:
        raise AckError(f"{uuid[:80]!r} is not <epoch>:<n> with n from 1 to 2^63-1")
    return match[1], int(match[2])


def format_given(epoch: str, n: int) -> str:
    """Return the value of `Spool/Ack` in an NBIRTH: `n` is the highest number that was ever sent in the epoch, or 0."""
    return f"{epoch}:{n}"


def parse_given(value: object) -> tuple[str, int] | None:
    """Return epoch and highest number of an NBIRTH; None when it does not say them."""
    match = _GIVEN.match(value) if isinstance(value, str) else None
    return None if match is None else (match[1], int(match[2]))


def format_renew(epoch: str) -> str:
    """Return the value of `Spool/Ack` that asks for another epoch."""
    return f"{epoch}:{_RENEW}"


def format_ack(epoch: str, intervals: Iterable[tuple[int, int]]) -> str:
    """Return the value of the metric `Spool/Ack` for closed intervals that are ascending and disjoint."""
    ranges = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in intervals)
    return f"{epoch}:{ranges}"


def parse_ack(text: str) -> Ack:
    """Return what an acknowledgement acknowledges; raise AckError."""
    epoch, _, rest = text.partition(":")
    if rest == _RENEW and _ACK.match(f"{epoch}:"):
        return Ack(epoch, [], renew=True)
    match = _ACK.match(text)
    if match is None:
        raise AckError(f"{text[:80]!r} is not an acknowledgement <epoch>:<n>-<n>,<n>,…")
    intervals, end = [], 0
    for part in filter(None, match[2].split(",")):
        first, _, last = part.partition("-")
        interval = int(first), int(last or first)
        if not end < interval[0] <= interval[1] <= LAST_N:
            raise AckError(f"{text[:80]!r}: the range {part} is out of order or out of bounds")
        intervals.append(interval)
        end = interval[1]
    return Ack(match[1], intervals)
