"""The truth over HTTP, on loopback, outside the platform: what is so, what happened, what was emitted.

- `GET /truth`, `GET /truth/<asset>`: true values, hidden states, faults with severity
- `GET /journal?after=N`: events as JSON lines after number N; the header X-Last has the number of the last one
- `GET /emitted`: messages, samples and blocks that each machine has sent, and when the newest, for a loss checker
- `GET /balance`: material, orders and energy, when the factory makes parts
- `GET /parts/<serial>`: a part's order, true dimensions, quality, energy and history
- `GET /faults`: every fault mode of every machine, with what it does, where it shows, and the alarm that ends it
- `GET /waveform/<asset>?sensor=spindle&samples=16384&rate_hz=25600`: a vibration block in m/s²
- `GET /scenarios`: the scenarios that ship, which of them run, what the factory lacks for the others
- `POST /faults` {"asset", "fault", "growth_s"?, "limit"?}: inject; with "clear": true repair and reset
- `POST /sensor_faults` {"asset", "signal", "mode", "size"?, "rate_hz"?}; mode "none" repairs
- `POST /link_faults` {"asset", "mode", "duration_s"?, "probability"?, "delay_s"?}; mode "none" repairs
- `POST /command` {"asset", "name", "value"}: as an operator at the machine
- `POST /scenarios` {"scenario"}: begin one now; with "clear": true let no more of it happen

It answers only requests for 127.0.0.1 or localhost and takes only JSON, so that no web page can reach it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from simulators.action import ACTIONS
from simulators.face import Face
from simulators.factory import Factory
from simulators.machine import Refused, SimulatedMachine
from simulators.production.part import Part
from simulators.scenario import Stage

MAX_BODY: Final = 64 * 1024
MAX_SAMPLES: Final = 1 << 20
_TIMEOUT_S: Final = 10.0
_HOSTS: Final = {"127.0.0.1", "localhost"}


class _Wrong(Exception):
    """A request that cannot be answered: the status and what to do."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class TruthServer:
    """A small HTTP/1.1 server, one request per connection."""

    def __init__(self, factory: Factory, faces: Sequence[Face], port: int, stage: Stage | None = None) -> None:
        self.factory = factory
        self.stage = stage or Stage(factory)
        self.faces = faces
        self.port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; safe twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                status, headers, body = await self._answer(reader)
                headers = {"Content-Length": str(len(body)), "Connection": "close", **headers}
                head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(head.encode() + b"\r\n" + body)
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the client has gone, or talks too slowly: nobody to tell
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[HTTPStatus, dict[str, str], bytes]:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request, *lines = head.split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            return await self._route(request, headers, reader)
        except _Wrong as wrong:
            body = json.dumps({"error": str(wrong)}, ensure_ascii=False).encode()
            return wrong.status, {"Content-Type": "application/json"}, body

    async def _route(
        self, request: str, headers: Mapping[str, str], reader: asyncio.StreamReader
    ) -> tuple[HTTPStatus, dict[str, str], bytes]:
        method, _, target = request.partition(" ")
        if headers.get("host", "").rpartition(":")[0] not in _HOSTS:
            raise _Wrong(HTTPStatus.FORBIDDEN, "ask for 127.0.0.1 or localhost")
        parts = urlsplit(target.rpartition(" ")[0])
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        if method == "GET":
            if path == ["journal"]:
                return self._journal(_integer(query, "after", 0), _integer(query, "limit", 1000))
            return HTTPStatus.OK, {"Content-Type": "application/json"}, _json(self._get(path, query))
        if method != "POST":
            raise _Wrong(HTTPStatus.METHOD_NOT_ALLOWED, "use GET or POST")
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            raise _Wrong(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        wish = await _body(headers, reader)
        return HTTPStatus.OK, {"Content-Type": "application/json"}, _json(self._post(path, wish))

    def _get(self, path: list[str], query: Mapping[str, str]) -> Any:
        match path:
            case ["truth", *names] if len(names) <= 1:
                return self._machine(names[0]).truth() if names else self._truth()
            case ["emitted"]:
                return {
                    shown.machine.id: {
                        "messages": shown.emissions,
                        "sequence": shown.machine.sequence,
                        "time_ns": shown.stamp_ns,
                        "samples": shown.samples,
                        "blocks": shown.blocks,
                    }
                    for face in self.faces
                    for shown in face.shown
                }
            case ["faults"]:
                return {name: _modes(machine) for name, machine in self.factory.machines.items()}
            case ["balance" | "scenarios"]:
                return self.factory.balance() if path == ["balance"] else self.stage.facts()
            case ["parts", serial]:
                return self._part(serial).facts()
            case ["waveform", name]:
                return self._waveform(self._machine(name), query)
        raise _Wrong(
            HTTPStatus.NOT_FOUND,
            "have: /truth, /journal, /emitted, /balance, /parts/<serial>, /faults, /scenarios, /waveform/<asset>",
        )

    def _post(self, path: list[str], wish: Mapping[str, Any]) -> Any:
        if len(path) != 1 or path[0] not in (*ACTIONS, "scenarios"):
            raise _Wrong(HTTPStatus.NOT_FOUND, f"have: {', '.join('/' + name for name in (*ACTIONS, 'scenarios'))}")
        try:
            if path[0] == "scenarios":
                self.stage.act(wish)
            else:
                ACTIONS[path[0]](self._machine(str(wish.get("asset", ""))), wish)
        except Refused as refused:
            raise _Wrong(HTTPStatus.CONFLICT, str(refused)) from refused
        except KeyError as error:
            raise _Wrong(HTTPStatus.UNPROCESSABLE_ENTITY, str(error.args[0])) from error
        except (TypeError, ValueError) as error:
            raise _Wrong(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        return {"done": True}

    def _machine(self, name: str) -> SimulatedMachine:
        machine = self.factory.machines.get(name)
        if machine is None:
            raise _Wrong(HTTPStatus.NOT_FOUND, f"no asset {name!r}; have: {', '.join(self.factory.machines)}")
        return machine

    def _truth(self) -> dict[str, Any]:
        machines = {name: machine.truth() for name, machine in self.factory.machines.items()}
        return {"time_s": self.factory.time_ns / 1e9, "machines": machines}

    def _part(self, serial: str) -> Part:
        parts = {} if self.factory.logistics is None else self.factory.logistics.parts
        if serial not in parts:
            raise _Wrong(HTTPStatus.NOT_FOUND, f"no part {serial!r}; {len(parts)} were begun")
        return parts[serial]

    def _journal(self, after: int, limit: int) -> tuple[HTTPStatus, dict[str, str], bytes]:
        lines = self.factory.journal.read(after, limit)
        last = lines[-1][0] if lines else after
        body = "".join(line + "\n" for _, line in lines).encode()
        return HTTPStatus.OK, {"Content-Type": "application/x-ndjson", "X-Last": str(last)}, body

    def _waveform(self, machine: SimulatedMachine, query: Mapping[str, str]) -> Any:
        samples, rate = _integer(query, "samples", 16384), _integer(query, "rate_hz", 25600)
        if not 1 <= samples <= MAX_SAMPLES or not 1 <= rate <= 1_000_000:
            raise _Wrong(HTTPStatus.UNPROCESSABLE_ENTITY, f"samples go to {MAX_SAMPLES}, rate_hz to 1000000")
        try:
            block = machine.waveform(query.get("sensor", "spindle"), samples, float(rate))
        except KeyError as error:
            raise _Wrong(HTTPStatus.NOT_FOUND, str(error.args[0])) from error
        return {"asset": machine.id, "time_s": machine.time_s, "rate_hz": rate, "unit": "m/s²", "block": block.tolist()}


def _modes(machine: SimulatedMachine) -> list[dict[str, Any]]:
    return [
        fault.mode.facts() | {"severity": fault.severity, "stage": fault.stage, "onset_s": fault.onset_s}
        for fault in machine.faults.values()
    ]


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise _Wrong(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} is {text!r}: a whole number is needed")
    return int(text)


async def _body(headers: Mapping[str, str], reader: asyncio.StreamReader) -> Mapping[str, Any]:
    length = headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise _Wrong(HTTPStatus.BAD_REQUEST, f"Content-Length is needed, at most {MAX_BODY}")
    try:
        wish = json.loads(await reader.readexactly(int(length)))
    except ValueError as error:
        raise _Wrong(HTTPStatus.BAD_REQUEST, f"no JSON: {error}") from error
    if not isinstance(wish, dict):
        raise _Wrong(HTTPStatus.BAD_REQUEST, "a JSON object is needed")
    return wish


def _json(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()
