"""One MQTT 3.1.1 connection that keeps itself up: its own thread, jittered back-off, bounded in flight.

Every connection is a new paho client: nothing that was queued for an old connection is sent by a new one, what must not
be lost lies in a spool. A session is clean, unless its owner acknowledges what it hears: then it is persistent, and the
broker keeps what comes at QoS 1 while we are away. Callbacks run in the session's thread; an error in one ends the
thread, `is_alive` then is False, and the owner's process should end too. What a broker sends that is no MQTT ends the
connection alone.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.backoff import Backoff
from contract.broker import Broker
from contract.in_flight import PATIENCE_S, InFlight
from contract.read_ahead import ReadAheadClient

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES: Final = 900_000
"""The largest message of ours: a broker ends the connection for a larger one than it takes (NATS: 1 MiB)."""

_ANSWER_TIMEOUT_S: Final = 10.0
_PACKET_TIMEOUT_S: Final = 30.0
_STABLE_S: Final = 10.0
_READ_AT_ONCE: Final = 100


class Will(NamedTuple):
    """What the broker publishes when the connection ends without a farewell."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


class Subscription(NamedTuple):
    """A topic filter and the quality of service it is wanted with."""

    filter: str
    qos: int = 1


class Delivery(NamedTuple):
    """A message of a persistent session. `number` is 0 for what came at QoS 0: nothing is to be acknowledged."""

    topic: str
    payload: bytes
    is_retained: bool
    is_again: bool  # the broker says that it may have sent it before
    number: int
    connection: object


OnMessage = Callable[[str, bytes, bool], None]


class Session:
    """A connection to a broker that is made again for ever, until `stop`.

    `will` is asked before each CONNECT that goes out. `on_connect` is called when the broker has accepted us and every
    subscription; `on_disconnect(reason)` when such a connection is lost; `on_message(topic, payload, retained)`
    between. Once `stop` was called none of them is: who makes a new session must not hear of the end of the old one
    behind its beginning.

    With `on_delivery` (in the place of `on_message`) the session is persistent, and each Delivery must be given to
    `acknowledge`: what was not comes again with the next connection. It may be called before `on_connect`. `leave` are
    filters of an earlier time that the broker is to forget. `on_forgotten` is called when the broker accepts us and has
    kept nothing for us (it says that no session was present), before any message and `on_connect`.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        subscriptions: Sequence[Subscription | tuple[str, int]] = (),
        will: Callable[[], Will | None] = lambda: None,
        on_message: OnMessage = lambda _topic, _payload, _retained: None,
        on_delivery: Callable[[Delivery], None] | None = None,
        leave: Sequence[str] = (),
        on_forgotten: Callable[[], None] = lambda: None,
        on_connect: Callable[[], None] = lambda: None,
        on_disconnect: Callable[[str], None] = lambda _reason: None,
        max_in_flight: int = 1_000,
        max_in_flight_bytes: int = 16 << 20,
        keepalive_s: int = 15,
        backoff: Backoff | None = None,
    ) -> None:
        self._broker, self._client_id = broker, client_id
        self._subscriptions = [(topic_filter, qos) for topic_filter, qos in subscriptions]
        self._will, self._on_message = will, on_message
        self._on_delivery, self._leave = on_delivery, list(leave)
        self._on_forgotten = on_forgotten
        self._on_connect, self._on_disconnect = on_connect, on_disconnect
        self._max_in_flight = max_in_flight
        self._keepalive_s = keepalive_s
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mqtt {client_id}", daemon=True)
        self._lock = threading.Condition()  # guards all below
        self._client: Client | None = None  # while connected and subscribed
        self._heard: Client | None = None  # from which messages come, also before that
        self._in_flight = InFlight(max_in_flight, max_in_flight_bytes)
        self._refused = 0
        self._reason = "not started"
        self._end_reason = ""  # of the connection under way, once known
        # of the session's thread alone
        self._done: deque[int] = deque()  # ids of messages that are written or acknowledged
        self._has_read = False  # a message in the last read: there may be more
        self._callback_failed = False

    def start(self) -> None:
        """Begin to connect, in the session's own thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Send what is in flight, disconnect, end the thread; at most `timeout_s`. Safe twice and unstarted."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._lock.wait_for(lambda: not self._in_flight or self._client is None, timeout_s / 2)
            # with the lock: a connection that is just being made is either known here, or finds that it is not wanted
            self._stopping.set()
            client = self._client
        if client is not None:
            client.disconnect()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message to the broker; False when not connected or when too much is in flight.

        True promises nothing but that it is under way. Raises ValueError for a topic with wildcards.
        """
        with self._lock:
            client = self._client
            if client is None or self._in_flight.is_full:
                self._refused += 1
                return False
            info = client.publish(topic, payload, qos, retain)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._refused += 1
                return False
            self._in_flight.add(info.mid, len(payload), qos, time.monotonic())
            return True

    def has_room(self, most: int, timeout_s: float) -> bool:
        """Whether, at the latest after `timeout_s`, less than `most` messages are in flight.

        Who sends a lot keeps what is queued here short with it, so that what is urgent does not stand behind it.
        """
        with self._lock:
            return self._lock.wait_for(lambda: len(self._in_flight) < most, timeout_s)

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker that these need not come again; nothing for those of a connection that has ended."""
        with self._lock:
            for delivery in deliveries:
                if delivery.number and self._heard is not None and delivery.connection is self._heard:
                    self._heard.ack(delivery.number, 1)

    def resubscribe(self) -> None:
        """Subscribe again, upon which the broker sends once more what it retains; nothing when not connected."""
        with self._lock:
            if self._client is not None and self._subscriptions:
                self._client.subscribe(self._subscriptions)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the connection and all subscriptions."""
        return self._client is not None

    @property
    def is_alive(self) -> bool:
        """Whether the session's thread runs."""
        return self._thread.is_alive()

    @property
    def reason(self) -> str:
        """Why the session is not connected; "" while it is."""
        return "" if self._client is not None else self._reason

    @property
    def in_flight(self) -> int:
        """Messages that were published and neither written to the network (QoS 0) nor acknowledged (QoS 1)."""
        return len(self._in_flight)

    @property
    def waits_s(self) -> float:
        """For how many seconds a message has been in flight, and none that was published after it is acknowledged."""
        with self._lock:
            return self._in_flight.waits_s(time.monotonic())

    @property
    def acknowledged_s(self) -> float:
        """When that was published, by time.monotonic(), which the broker acknowledged; 0.0 for nothing yet."""
        return self._in_flight.acknowledged_s

    @property
    def refused(self) -> int:
        """How often `publish` returned False."""
        return self._refused

    def _run(self) -> None:
        logged = ""
        while not self._stopping.is_set():
            started = time.monotonic()
            was_connected, reason = self._connect_once()
            if was_connected and time.monotonic() - started > _STABLE_S:
                self._backoff.reset()
            self._reason = reason
            if self._stopping.is_set():
                return
            if was_connected or reason != logged:
                logged = reason
                log.warning("not connected", client=self._client_id, broker=self._broker.url, reason=reason)
            if self._stopping.wait(self._backoff.next_s()):
                return

    def _connect_once(self) -> tuple[bool, str]:
        """Make a connection and serve it until it ends; return whether it was ever of use, and why it ended."""
        self._end_reason = ""
        client = ReadAheadClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=self._on_delivery is None,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=self._on_delivery is not None,
        )
        host, port = self._broker.address
        try:
            self._prepare(client)
            client.connect(host, port, self._keepalive_s)
        except (OSError, ValueError) as error:
            return False, f"{self._broker.url}: {_said(error)}"
        with self._lock:
            self._heard = client
        try:
            self._serve(client)
        except Exception as error:
            if self._callback_failed:
                raise
            # paho does not expect every byte that a line may bring
            self._end_reason = f"the broker sent what cannot be read: {type(error).__name__}: {error}"[:300]
        finally:
            was_connected = self._forget(client)
        reason = self._end_reason or ("stopped" if self._stopping.is_set() else "the connection was lost")
        if was_connected and not self._stopping.is_set():
            self._on_disconnect(reason)
        return was_connected, reason

    def _prepare(self, client: Client) -> None:
        """Set who we are and the callbacks; raise OSError or ValueError for a file that cannot be read."""
        broker = self._broker
        if broker.user is not None:
            password = broker.password_file.read_text().strip() if broker.password_file is not None else None
            client.username_pw_set(broker.user, password)
        if broker.is_tls:
            context = ssl.create_default_context(cafile=broker.ca_file)
            if broker.cert_file is not None:
                context.load_cert_chain(broker.cert_file, broker.key_file)
            client.tls_set_context(context)
        client.on_socket_open = self._opened
        client.max_inflight_messages_set(self._max_in_flight)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._received
        # without it paho writes from the publishing threads too, and two of them mix their bytes
        client.on_socket_register_write = lambda *_: None

    def _opened(self, client: Client, _data: Any, _socket: Any) -> None:
        """Set the will: the line stands, the CONNECT comes next. A number is not used up where nobody listens."""
        will = self._will()
        if will is not None:
            client.will_set(*will)

    def _serve(self, client: ReadAheadClient) -> None:
        answer_due = time.monotonic() + _ANSWER_TIMEOUT_S
        incoming, since = client.incoming, 0.0
        while not self._stopping.is_set() or client.is_connected():
            self._has_read = False
            if client.loop(1.0) != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._read_on(client):
                return
            self._settle()
            now = time.monotonic()
            if client.incoming is not incoming:
                incoming, since = client.incoming, now
            if incoming is not None and now - since > _PACKET_TIMEOUT_S:
                # its length may be damaged; paho waits for the rest as long as any byte comes, and takes all for it
                self._end_reason = f"a packet of the broker is not whole after {_PACKET_TIMEOUT_S:.0f} s"
                return
            if self._client is None and now > answer_due:
                self._end_reason = self._end_reason or f"the broker did not answer within {_ANSWER_TIMEOUT_S:.0f} s"
                return
            if self.waits_s > PATIENCE_S:
                self._end_reason = f"the broker has acknowledged nothing for {PATIENCE_S:.0f} s"
                return

    def _read_on(self, client: Client) -> bool:
        """Read what else has arrived, without the select that paho makes for each message; False when it cannot."""
        for _ in range(_READ_AT_ONCE):
            if not self._has_read:
                break
            self._has_read = False
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
        return True

    def _settle(self) -> None:
        """Take what is written or acknowledged out of what is in flight."""
        if not self._done:
            return
        with self._lock:
            self._in_flight.settle([self._done.popleft() for _ in range(len(self._done))])
            self._lock.notify_all()

    def _forget(self, client: Client) -> bool:
        with self._lock:
            was_connected = self._client is not None
            self._client = self._heard = None
            self._in_flight.clear()
            self._done.clear()
            self._lock.notify_all()
        if client.socket() is not None:
            with suppress(Exception):  # the last words of a line that may be damaged
                client.disconnect()
                client.loop(0.1)
        # paho leaves the socket open when the farewell could not be written
        left_open = client.socket()
        if left_open is not None:
            left_open.close()
        return was_connected

    def _connected(
        self, client: Client, _data: Any, flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._end_reason = f"the broker refuses {self._broker.user or self._client_id!r}: {code}"
            return
        if not flags.session_present:
            self._call(self._on_forgotten)
        if self._leave:
            client.unsubscribe(self._leave)
        if self._subscriptions:
            client.subscribe(self._subscriptions)
        else:
            self._ready(client)

    def _subscribed(
        self, client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [item[0] for item, code in zip(self._subscriptions, codes, strict=False) if code.is_failure]
        if refused or len(codes) != len(self._subscriptions):
            self._end_reason = (
                f"the broker refuses the subscription to {', '.join(refused)}: check the permissions there"
            )
            client.disconnect()
        elif self._client is None:
            self._ready(client)

    def _ready(self, client: Client) -> None:
        with self._lock:
            is_wanted = not self._stopping.is_set()
            if is_wanted:
                self._client = client
        if not is_wanted:
            client.disconnect()
            return
        log.info("connected", client=self._client_id, broker=self._broker.url)
        self._call(self._on_connect)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self._callback_failed = True
            raise

    def _disconnected(
        self, _client: Client, _data: Any, flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if not self._end_reason and not self._stopping.is_set():
            cause = "the broker ended it" if flags.is_disconnect_packet_from_server else "the connection was lost"
            self._end_reason = f"{cause} ({code})"

    def _published(
        self, _client: Client, _data: Any, mid: int, _code: ReasonCode, _properties: Properties | None
    ) -> None:
        # not with the lock: paho holds one of its own here, which `publish` waits for while it has ours
        self._done.append(mid)

    def _received(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        self._has_read = True
        if self._stopping.is_set():
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            log.warning("message with a topic that is not UTF-8", client=self._client_id)
            if self._on_delivery is not None:
                client.ack(message.mid, message.qos)
            return
        try:
            self._deliver(client, topic, message)
        except Exception:
            self._callback_failed = True
            raise

    def _deliver(self, client: Client, topic: str, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if self._on_delivery is None:
            self._on_message(topic, payload, message.retain)
        else:
            number = message.mid if message.qos else 0
            self._on_delivery(Delivery(topic, payload, message.retain, message.dup, number, client))


def _said(error: Exception) -> str:
    """Return why a connection cannot be made, without the number that the system has for it."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
