"""What stands around a gateway in its tests: a store that answers as told, edge nodes, an MQTT client."""

from __future__ import annotations

import gzip
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from contract.ack import SPOOL_ACK, format_given, format_uuid
from contract.birth import device_birth, node_birth
from contract.broker import Broker
from contract.loss import BALANCE, Balance
from contract.model import Asset, Sample, Signal
from contract.mqtt import Session, Subscription
from contract.sparkplug import Code, Metric, Payload, decode, encode, encode_samples, stamp
from contract.topics import Node, state_topic

TOKEN = "the store's token"
SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND

STATE = state_topic("shopfloor")
TELE = "v1/demo/shanghai/machining/line1/cnc-01/tele"
INFO = "v1/demo/shanghai/machining/line1/cnc-01/info"

LINE = Node("demo:shanghai:machining", "line1")
CNC = Asset(
    "demo",
    "shanghai",
    "machining",
    "line1",
    "cnc-01",
    "cnc",
    {"en": "Mill", "zh": "加工中心"},
    (Signal("speed", unit="rpm", low=0, high=12000), Signal("load"), Signal("program")),
)
ALIASES = {"speed": 1, "load": 2, "program": 3}


class FakeStore:
    """A server of `/api/v2/write`. `plan` has the answers to come, then 204; see `Handler.do_POST` for its words."""

    def __init__(self) -> None:
        self.plan: deque[int | str] = deque()
        self.down = False
        self.most = 0  # so many lines it takes in time, 0: any number
        self.lines: list[str] = []
        self.refuse = "poison"  # a line with this in it makes a write a 400
        self.requests: list[tuple[int | str, dict[str, str], str]] = []
        self.connections = 0
        self.changed = threading.Condition()
        self.release = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def until(self, lines: int, timeout_s: float = 20.0) -> list[str]:
        """Wait for that many different lines; return them sorted."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(set(self.lines)) >= lines, timeout_s), self.lines
            return sorted(set(self.lines))


def handler(store: FakeStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            store.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Encoding"] == "gzip"
            lines = gzip.decompress(body).decode().split("\n")
            answer: int | str = 503 if store.down else store.plan.popleft() if store.plan else 204
            if self.headers["Authorization"] != f"Token {TOKEN}":
                answer = 401
            if answer == 204 and any(store.refuse in line for line in lines):
                answer = 400
            if answer == 204 and 0 < store.most < len(lines):
                answer = "commit, then hang"
            with store.changed:
                store.requests.append((answer, dict(self.headers), self.path))
                # a time-out after the commit: the data is there, the answer never comes
                if answer in (204, "commit, then hang"):
                    store.lines += lines
                store.changed.notify_all()
            if isinstance(answer, str):
                store.release.wait(10)
                self.close_connection = True
                return
            self.send_response(answer)
            text = b"" if answer == 204 else b'{"code":"error","message":"as the test said"}'
            self.send_header("Content-Length", str(len(text)))
            if answer == 429:
                self.send_header("Retry-After", "7")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


class EdgeNode:
    """The messages of one edge node with the machine cnc-01, as bytes; the transport is the caller's."""

    def __init__(self, node: Node = LINE, *, acknowledges: bool = True, epoch: str = "e1", bdseq: int = 0) -> None:
        self.node = node
        self.acknowledges = acknowledges
        self.epoch = epoch
        self.bdseq = bdseq
        self.seq = 0
        self.sent: int | None = None  # the highest number so far, where the birth says it

    def topic(self, type_: str, device: str | None = "cnc-01") -> str:
        return self.node.topic(type_, device if type_.startswith("D") else None)  # type: ignore[arg-type]

    def nbirth(self) -> tuple[str, bytes]:
        self.seq = 0
        metrics = node_birth(self.bdseq, START_NS, "" if self.sent is None else format_given(self.epoch, self.sent))
        metrics.append(Metric(BALANCE, 9, Code.STRING, None, START_NS))
        if not self.acknowledges:
            metrics = [metric for metric in metrics if metric.name != SPOOL_ACK]
        return self.topic("NBIRTH"), self._stamped(encode(Payload(metrics, time_ms=START_NS // 1_000_000)))

    def dbirth(self, *last: Sample, online: bool = True) -> tuple[str, bytes]:
        metrics = device_birth(CNC, ALIASES, {sample.signal: sample for sample in last}, START_NS, online=online)
        for metric in metrics:
            if metric.name == "program":
                metric.datatype = Code.STRING
        return self.topic("DBIRTH"), self._stamped(encode(Payload(metrics, time_ms=START_NS // 1_000_000)))

    def ddata(self, n: int, samples: Sequence[Sample] | None = None) -> tuple[str, bytes]:
        """Return message `n`: by default the speed `n` at second `n`."""
        if samples is None:
            samples = [Sample("cnc-01", "speed", START_NS + n * SECOND, float(n))]
        codes = {"speed": Code.DOUBLE, "load": Code.DOUBLE, "program": Code.STRING}
        body = encode_samples(samples, ALIASES, codes)
        uuid = format_uuid(self.epoch, n) if self.acknowledges else None
        return self.topic("DDATA"), self._stamped(body, uuid)

    def balance(self, n: int, balance: Balance) -> tuple[str, bytes]:
        """Return message `n`: what became of the messages of its spool."""
        sample = Sample("line1", BALANCE, START_NS + n * SECOND, balance.model_dump_json())
        body = encode_samples([sample], {BALANCE: 9}, {BALANCE: Code.STRING})
        return self.topic("NDATA"), self._stamped(body, format_uuid(self.epoch, n))

    def backlog(self, n: int) -> tuple[str, bytes]:
        """Return message `n` as it is sent again: with names and datatypes, historical."""
        metric = Metric("speed", None, Code.DOUBLE, float(n), START_NS + n * SECOND, is_historical=True)
        body = encode(Payload([metric], time_ms=START_NS // 1_000_000))
        return self.topic("DDATA"), self._stamped(body, format_uuid(self.epoch, n))

    def ndeath(self, bdseq: int | None = None) -> tuple[str, bytes]:
        number = self.bdseq if bdseq is None else bdseq
        return self.topic("NDEATH"), encode(Payload([Metric("bdSeq", None, Code.INT64, number, START_NS)]))

    def ddeath(self) -> tuple[str, bytes]:
        return self.topic("DDEATH"), self._stamped(encode(Payload([], time_ms=START_NS // 1_000_000)))

    def _stamped(self, body: bytes, uuid: str | None = None) -> bytes:
        self.seq, seq = (self.seq + 1) % 256, self.seq
        return stamp(body, seq=seq, uuid=uuid)


def line_of(n: int) -> str:
    """Return the line of `EdgeNode.ddata(n)`."""
    return f"cnc,area=machining,asset=cnc-01,line=line1,site=shanghai speed={float(n)!r} {START_NS + n * SECOND}"


def wait_for(truth: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait until `truth()` holds; for what happens in another process or on a broker."""
    end = time.monotonic() + timeout_s
    while not truth():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Peer:
    """An MQTT client of the test: sends an edge node's messages, keeps what it hears, the latest by topic too."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.latest: dict[str, bytes] = {}
        self.changed = threading.Condition()
        subscriptions = [
            Subscription("v1/#", 0),
            Subscription(STATE, 1),
            Subscription("spBv1.0/+/NCMD/+", 1),
        ]
        self.session = Session(broker, f"peer-{id(self)}", subscriptions=subscriptions, on_message=self._hear)

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        with self.changed:
            self.heard.append((topic, payload, retained))
            self.latest[topic] = payload
            self.changed.notify_all()

    def start(self) -> None:
        self.session.start()
        wait_for(lambda: self.session.is_connected)

    def send(self, *messages: tuple[str, bytes]) -> None:
        for topic, body in messages:
            assert self.session.publish(topic, body)

    def until(self, truth: Callable[[], Any], timeout_s: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(truth, timeout_s), list(self.latest)

    def json(self, topic: str) -> Any:
        return orjson.loads(self.latest[topic]) if topic in self.latest else None

    def tele(self, name: str = "speed") -> Any:
        """Return what the mirror shows of a signal of cnc-01; an empty dict when nothing yet."""
        return (self.json(TELE) or {}).get("signals", {}).get(name, {})

    def commands(self, name: str) -> list[object]:
        """Return the values of a metric in all NCMD to the line."""
        topic = LINE.topic("NCMD")
        payloads = [decode(payload) for heard, payload, _ in self.heard if heard == topic]
        return [metric.value for payload in payloads for metric in payload.metrics if metric.name == name]
