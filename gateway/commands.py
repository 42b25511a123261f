"""Commands on their way down: asked of the cloud, one request at a time, and each sent to its edge node once.

What cannot be sent is answered at once, straight to the cloud and not through the spool: when that answer is lost, the
cloud calls the command unknown after its expiry, which claims nothing. A command that was fetched when the gateway is
killed ends so, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import httpx2
import structlog
from pydantic import TypeAdapter

from contract.backoff import Backoff
from contract.command import Command, Reply, command_metric
from contract.identity import path_of
from contract.mqtt import MAX_MESSAGE_BYTES
from contract.sparkplug import Payload, encode
from contract.topics import Node
from gateway.cloud import PATH, Cloud
from gateway.letters import reply_letter
from gateway.store import DETAIL, UNAUTHORIZED

WAIT_S: Final = 5.0
"""How long the cloud may wait for a command: a node that is new is asked for with the next request."""
IDLE_S: Final = 1.0

Publish = Callable[[str, bytes], bool]

log = structlog.get_logger()


class Fetched(NamedTuple):
    """A command, and the path of the edge node that it is for."""

    node: str
    command: Command


_ANSWER: Final = TypeAdapter(list[Fetched])


class FetchError(Exception):
    """The cloud gave no commands; says why."""


class HttpCommands:
    """The cloud at `url` as the place where commands are; the token is read anew for each request."""

    def __init__(self, url: str, *, token_file: Path | None, timeout_s: float = 10.0) -> None:
        self._url = f"{url.rstrip('/')}{PATH}/commands"
        self._token_file = token_file
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(timeout_s + WAIT_S, connect=min(timeout_s, 3.0)),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=60.0),
            trust_env=False,
        )

    def fetch(self, nodes: Sequence[str]) -> list[Fetched]:
        """Return the commands for edge nodes; wait a while for the first. Raises FetchError."""
        try:
            headers = {}
            if self._token_file is not None:
                headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
            body = {"nodes": list(nodes), "wait_s": WAIT_S}
            response = self._client.post(self._url, headers=headers, json=body)
        except OSError as error:
            raise FetchError(f"{error}; put the token there (SHOPFLOOR_CLOUD_TOKEN_FILE)") from error
        except httpx2.RequestError as error:
            raise FetchError(f"{self._url}: {error or type(error).__name__}") from error
        if response.status_code != 200:
            todo = "; correct the token in SHOPFLOOR_CLOUD_TOKEN_FILE" if response.status_code in UNAUTHORIZED else ""
            raise FetchError(f"{self._url} answered {response.status_code}: {response.text[:DETAIL].strip()}{todo}")
        try:
            return _ANSWER.validate_python([(each["node"], each["command"]) for each in response.json()])
        except (ValueError, KeyError, TypeError) as error:
            what = f"{self._url} answered what is no list of commands ({type(error).__name__})"
            raise FetchError(f"{what}; is the cloud older or newer than this gateway?") from error

    def close(self) -> None:
        """Give up the connection."""
        self._client.close()


class Commands:
    """Asks for commands and sends them, in a thread of its own (`start`, `stop`) or step by step (`step`).

    `nodes` are the edge nodes that are known, and whether each lives; none while this gateway does not serve.
    """

    def __init__(
        self,
        source: HttpCommands,
        cloud: Cloud,
        *,
        nodes: Callable[[], Mapping[Node, bool]],
        publish: Publish,
        asset: Callable[[Node], str],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`cloud` takes the replies to what cannot be sent, `publish` the commands at QoS 1."""
        self.sent = 0
        self.answered = 0
        """Commands that were not sent, and why not was told."""
        self._source = source
        self._cloud = cloud
        self._nodes = nodes
        self._publish = publish
        self._asset = asset
        self._now_ns = now_ns
        self._backoff = Backoff()
        self._is_failing = False
        self._stopping = threading.Event()
        # a daemon: the cloud may let a request wait
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread; a request under way is abandoned after `timeout_s`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = self.step()
            if pause_s > 0:
                self._stopping.wait(pause_s)

    def step(self) -> float:
        """Ask once, and send what comes; return the seconds to wait before the next step."""
        nodes = {path_of(node, None): node for node in self._nodes()}
        if not nodes:
            return IDLE_S
        try:
            fetched = self._source.fetch(list(nodes))
        except FetchError as error:
            if not self._is_failing:
                log.warning("the cloud gives no commands", reason=str(error))
            self._is_failing = True
            return self._backoff.next_s()
        if self._is_failing:
            log.info("the cloud gives commands again")
        self._is_failing = False
        self._backoff.reset()
        lines = []
        for path, command in fetched:
            node = nodes.get(path)
            if node is None:
                continue  # nobody asked for it: it is not for us to answer
            reply = self._send(node, command)
            if reply is None:
                self.sent += 1
                log.info("command sent", id=command.id, node=path, verb=command.do.verb, author=command.author)
            else:
                self.answered += 1
                log.warning("command not sent", id=command.id, node=path, reason=reply.reason)
                lines.append(reply_letter(node, self._asset(node), reply).line)
        if lines:
            receipt = self._cloud.post(lines)
            if receipt.outcome != "taken" or receipt.refused:
                log.warning("why commands were not sent could not be told", reason=receipt.detail or receipt.refused)
        return 0.0

    def _send(self, node: Node, command: Command) -> Reply | None:
        """Send a command; return the reply to one that cannot be."""
        now_ns = self._now_ns()
        if now_ns >= command.expires_ns:
            return Reply(
                command_id=command.id, outcome="expired", reason="the gateway got it behind its expiry", time_ns=now_ns
            )
        payload = encode(Payload([command_metric(command)], time_ms=now_ns // 1_000_000))
        if not self._nodes().get(node, False):
            reason = "its edge node is not online: nothing was sent to it"
        elif len(payload) > MAX_MESSAGE_BYTES:
            reason = f"it has {len(payload)} bytes, and a message at most {MAX_MESSAGE_BYTES}"
        elif not self._publish(node.topic("NCMD"), payload):
            reason = "the gateway is not connected to the broker: nothing was sent"
        else:
            return None
        return Reply(command_id=command.id, outcome="failed", reason=reason, time_ns=now_ns)
