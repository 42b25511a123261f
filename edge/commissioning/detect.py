"""What answers at an address: each driver that can looks whether it recognizes its protocol there."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import structlog

from edge.commissioning.address import AddressError, Network, Target, read, resolve
from edge.drivers import DriverModule, UnknownDriverError, driver_names, load
from edge.recognize import Recognized, certificate

TIMEOUT_S: Final = 2.0
"""For one answer, of a computer or of a protocol."""
CERTAIN: Final = 0.9
_TURNS: Final = 4  # answers that a driver may wait for
LIKELY: Final = 0.5

State: TypeAlias = Literal["open", "refused", "silent", "no_way"]

_NO_WAY: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What answers at a port; `address` and `options` are as a plant file states them."""

    driver: str
    address: str
    confidence: float
    text: str
    options: Mapping[str, Any]
    todo: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What answers at an address, the likeliest first. When nothing does, `trouble` says why and `todo` what to do."""

    host: str
    ip: str
    ports: Mapping[int, State]
    found: Sequence[Found] = field(default_factory=tuple)
    trouble: str = ""
    todo: str = ""

    @property
    def likely(self) -> list[Found]:
        """What it probably is: one, or several as likely as each other."""
        best = max((each.confidence for each in self.found), default=0.0)
        return [each for each in self.found if best >= LIKELY and each.confidence == best]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON; ports are texts there."""
        ports = {str(port): state for port, state in self.ports.items()}
        return asdict(self) | {"ports": ports, "found": [asdict(each) for each in self.found]}


class _Looker(NamedTuple):
    """A driver that looks; `is_meant`: it is the one that was asked for, or has the scheme that was."""

    name: str
    module: Any
    is_meant: bool

    @property
    def ports(self) -> tuple[int, ...]:
        return (*self.module.SCHEMES.values(), *getattr(self.module, "PORTS", ()))

    async def look(self, ip: str, port: int, path: str, timeout_s: float) -> Recognized | None:
        if hasattr(self.module, "recognize"):
            seen: Recognized | None = await self.module.recognize(ip, port, path, timeout_s)
            return seen
        text = "takes connections; the driver looks no further"
        return Recognized(next(iter(self.module.SCHEMES)), LIKELY, text) if self.is_meant else None


async def detect(
    address: str, *, driver: str = "", allowed: Sequence[Network] | None = None, timeout_s: float = TIMEOUT_S
) -> Answers:
    """Return what answers at `host`, `host:port` or an URL; raise AddressError.

    Without a port those that the drivers' protocols usually have are tried. `driver`: no other one looks. `allowed`:
    computers in other networks are not asked.
    """
    target = read(address)
    ip = await resolve(target.host, allowed)
    lookers, lacking = await asyncio.to_thread(_lookers, driver, target.scheme)
    usual = _usual(lookers, target.scheme)
    ports = await _knock_all(ip, [target.port] if target.port else usual, timeout_s)
    found = await _look(target, ip, ports, lookers, timeout_s)
    if found:
        return Answers(target.host, ip, ports, found)
    what, do = await _trouble(target, ip, ports, lookers, timeout_s)
    others = ports if driver else {}
    if ports.get(target.port) == "refused":
        others = await _knock_all(ip, [port for port in usual if port != target.port], timeout_s)
    do = await _elsewhere(target, ip, others, timeout_s) or "; ".join((do, *lacking))
    return Answers(target.host, ip, ports, (), what, do)


async def _elsewhere(target: Target, ip: str, ports: Mapping[int, State], timeout_s: float) -> str:
    """Return what to do where something answers that was not asked for; "": nothing does."""
    lookers, _ = await asyncio.to_thread(_lookers, "", "")
    found = await _look(target, ip, ports, lookers, timeout_s)
    return f"try {found[0].address}: there is {found[0].text}" if found else ""


def _lookers(driver: str, scheme: str) -> tuple[list[_Looker], list[str]]:
    """Return the drivers, and why others cannot even be imported; raise AddressError, UnknownDriverError."""
    modules: dict[str, DriverModule] = {}
    lacking: list[str] = []
    for name in [driver] if driver else driver_names():
        try:
            modules[name] = load(name)
        except UnknownDriverError as error:
            if driver:
                raise
            lacking.append(str(error))
    known = sorted({each for module in modules.values() for each in module.SCHEMES})
    if scheme and scheme not in known:
        begins = ", ".join(f"{each}://" for each in known)
        raise AddressError(f"no driver has addresses that begin with {scheme}://: ", "; ".join((begins, *lacking)))
    meant = [name for name, module in modules.items() if driver or scheme in module.SCHEMES]
    return [_Looker(name, module, name in meant) for name, module in modules.items()], lacking


def _usual(lookers: Sequence[_Looker], scheme: str) -> list[int]:
    """Return the ports to try: those of a scheme, where one was stated, else all that any driver names."""
    stated = [looker.module.SCHEMES[scheme] for looker in lookers if scheme in looker.module.SCHEMES]
    return list(dict.fromkeys(stated or [port for looker in lookers for port in looker.ports]))


async def _knock_all(ip: str, ports: Sequence[int], timeout_s: float) -> dict[int, State]:
    states = await asyncio.gather(*(knock(ip, port, timeout_s) for port in ports))
    return dict(zip(ports, states, strict=True))


async def knock(ip: str, port: int, timeout_s: float) -> State:
    """Return what becomes of a TCP connection; never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(ip, port)
    except TimeoutError:
        return "silent"
    except OSError as error:
        return "no_way" if error.errno in _NO_WAY else "refused"
    writer.transport.abort()
    return "open"


async def _look(
    target: Target, ip: str, ports: Mapping[int, State], lookers: Sequence[_Looker], timeout_s: float
) -> list[Found]:
    looks = (_at_port(target, ip, port, lookers, timeout_s) for port, state in ports.items() if state == "open")
    found = [each for of_port in await asyncio.gather(*looks) for each in of_port]
    return sorted(found, key=lambda each: -each.confidence)


async def _at_port(target: Target, ip: str, port: int, lookers: Sequence[_Looker], timeout_s: float) -> list[Found]:
    """Let drivers look at a port: those that it is usual for one by one until one is certain, then all others at once.

    Many devices take few connections, and some are upset by what they do not understand.
    """
    found: list[Found] = []
    others: list[_Looker] = []
    for looker in lookers:
        if looker.is_meant or (not target.scheme and port in looker.ports):
            found += await _by(looker, target, ip, port, timeout_s)
            if any(each.confidence >= CERTAIN for each in found):
                return found
        else:
            others.append(looker)
    return found or await _first_certain([_by(looker, target, ip, port, timeout_s) for looker in others])


async def _first_certain(looks: Sequence[Coroutine[Any, Any, list[Found]]]) -> list[Found]:
    """Return what drivers find side by side; once one is certain, nobody waits for the others."""
    found: list[Found] = []
    waiting = {asyncio.create_task(look) for look in looks}
    try:
        while waiting and not any(each.confidence >= CERTAIN for each in found):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            found += [each for task in done for each in task.result()]
    finally:
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)
    return found


async def _by(looker: _Looker, target: Target, ip: str, port: int, timeout_s: float) -> list[Found]:
    """Let one driver look; whatever goes wrong in it, it has recognized nothing."""
    call = asyncio.wait_for(looker.look(ip, port, target.path, timeout_s), _TURNS * timeout_s)
    [seen] = await asyncio.gather(call, return_exceptions=True)
    if isinstance(seen, BaseException) and not isinstance(seen, TimeoutError):
        _log.warning("a driver failed to look", driver=looker.name, reason=f"{type(seen).__name__}: {seen}"[:300])
    if not isinstance(seen, Recognized):
        return []
    address = target.url(seen.scheme, port, seen.path)
    return [Found(looker.name, address, seen.confidence, seen.text, dict(seen.options), seen.todo)]


async def _trouble(
    target: Target, ip: str, ports: Mapping[int, State], lookers: Sequence[_Looker], timeout_s: float
) -> tuple[str, str]:
    """Return why nothing was recognized, and what to do."""
    shown = target.host if target.host == ip else f"{target.host} ({ip})"
    numbers = ", ".join(map(str, ports))
    states = set(ports.values())
    opened = [port for port, state in ports.items() if state == "open"]
    if opened:
        return await _nobody_knows(shown, ip, opened, lookers, timeout_s)
    if "refused" in states and target.port:
        return (
            f"{shown} is there, but refuses port {numbers}: nothing listens on it",
            "is the port right, and the service switched on in the device?",
        )
    if "refused" in states:
        return (
            f"{shown} is there, but on none of the usual ports ({numbers}) anything listens",
            "say the port, as host:port, and see in the device whether the service is switched on",
        )
    if "silent" in states:
        return (
            f"{shown} does not answer on port {numbers}",
            "is it on, and is the address right (ping it)? If it is, a firewall between here and there drops the "
            "connection: let it pass this port by TCP",
        )
    return (
        f"there is no way from here to {shown}",
        "are cable, IP address, network mask and gateway of this computer right for that network?",
    )


async def _nobody_knows(
    shown: str, ip: str, ports: Sequence[int], lookers: Sequence[_Looker], timeout_s: float
) -> tuple[str, str]:
    names = ", ".join(looker.name for looker in lookers)
    port = ports[0]
    der = await certificate(ip, port, timeout_s)
    if der is not None:
        return (
            f"{shown} speaks TLS on port {port} (certificate SHA-256 {hashlib.sha256(der).hexdigest()}), and behind it "
            f"none of {names}",
            "is it the port of another service? An HTTPS page or a broker wants https:// or mqtts:// before its name",
        )
    return (
        f"{shown} takes connections on port {port}, but speaks none of {names} there",
        "is the port right, and has the device a connection left for one more client? --driver NAME tries that one",
    )
