"""The uplink of a line: an edge node, its MQTT session, and the thread that sends."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from contract.broker import Broker
from contract.mqtt import Session, Will
from contract.topics import Node
from edge.budget import BlockBudget
from edge.node import EdgeNode
from spool import Spool, SpoolError

HOST: Final = "shopfloor"
_RETRY_S: Final = 1.0
_STOP_S: Final = 2.0
_MOST_QUEUED: Final = 16  # data on its way to the network: a birth that is asked for stands behind it
_QUEUE_S: Final = 0.05

_log = structlog.get_logger(__name__)


class Uplink:
    """Sends what the spool of an edge node holds to a broker, as long as the primary host is online."""

    def __init__(
        self, node: Node, spool: Spool, broker: Broker, *, host: str = HOST, blocks: BlockBudget | None = None
    ) -> None:
        self.node = EdgeNode(node, spool, host, self._publish, blocks=blocks)
        self.node.wake = self._wake_up
        self.node.leave = self._leave
        self._broker = broker
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._leaving = False
        self._session = self._new_session()
        self._thread = threading.Thread(target=self._run, name=f"uplink {node.edge_node}", daemon=True)

    @property
    def session(self) -> Session:
        """The MQTT session of now."""
        return self._session

    @property
    def is_alive(self) -> bool:
        """Whether both threads run; if not, the process should end."""
        return self._thread.is_alive() and (self._session.is_alive or self._leaving)

    def start(self) -> None:
        """Begin to connect and to send."""
        self._session.start()
        self._thread.start()

    def stop(self) -> None:
        """Send what is new, say goodbye and end, within about 4 s; safe twice."""
        self._stopping.set()
        self._wake_up()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)
        self._session.stop(_STOP_S)

    def _new_session(self) -> Session:
        node = self.node.node
        group = node.group.replace(":", "-")
        return Session(
            self._broker,
            f"shopfloor-edge-{group}-{node.edge_node}",
            subscriptions=[(node.topic("NCMD"), 1), (self.node.host.topic, 1)],
            will=self._will,
            on_message=lambda topic, payload, _retained: self.node.received(topic, payload),
            on_connect=self.node.connected,
            on_disconnect=lambda _reason: self.node.disconnected(),
        )

    def _will(self) -> Will:
        return Will(*self.node.will(), qos=1)

    def _publish(self, topic: str, payload: bytes) -> bool:
        if "DATA/" in topic and not self._session.has_room(_MOST_QUEUED, _QUEUE_S):
            return False
        return self._session.publish(topic, payload, qos=1 if "/NDEATH/" in topic else 0)

    def _wake_up(self) -> None:
        self._wake.set()

    def _leave(self) -> None:
        """End this MQTT session and begin another one (after the step that asked for it)."""
        self._leaving = True

    def _run(self) -> None:
        troubled = False
        wait_s = 0.0
        while not self._stopping.is_set():
            self._wake.wait(wait_s)
            self._wake.clear()
            try:
                wait_s = self.node.step(time.monotonic(), time.time_ns())
            except SpoolError as error:
                if not troubled:
                    _log.error("the spool cannot be read or cleaned; trying on", reason=str(error))
                troubled, wait_s = True, _RETRY_S
            else:
                if troubled:
                    _log.info("the spool works again")
                troubled = False
            if self._leaving:
                self._session.stop(_STOP_S)
                self.node.disconnected()
                self._session = self._new_session()
                self._session.start()
                self._leaving = False
        self.node.stop(time.time_ns())
