"""The world: machines, servers and edge nodes that send odd inputs, beside the healthy ones of a chaos plant."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import paho.mqtt.client as paho
from asyncua import Server, ua
from paho.mqtt.enums import CallbackAPIVersion

from contract import sparkplug_b_pb2 as pb
from shopfloor.chaos import odd_mqtt, odd_mtconnect, odd_opcua, odd_sparkplug
from shopfloor.chaos.agent import OddAgent
from shopfloor.chaos.narrow import NarrowServer, state_limits
from shopfloor.chaos.odd import (
    LINE,
    STEP,
    UNSAID,
    Moment,
    OnMqtt,
    OnMtconnect,
    OnNumbers,
    OnOpcua,
    OnSparkplug,
    Row,
    Said,
    filled,
)
from shopfloor.chaos.odd_sparkplug import BOOLEAN, DOUBLE, INT64, payload
from shopfloor.errors import CommandError

ON_MQTT: Final = (*odd_mqtt.ROWS, *odd_mqtt.FORGED)
ROWS: Final[Sequence[Row]] = (*ON_MQTT, *odd_opcua.ROWS, *odd_mtconnect.ROWS, *odd_sparkplug.ROWS)
USERS: Final = ("machine", "simulator", "gateway")
"""Devices, edge nodes of others, and who listens to what is not theirs."""
SENT_S: Final = 10.0
HEARD_S: Final = 10.0
_URI: Final = "urn:shopfloor:world"
_MS: Final = 1_000_000
_APART_S: Final = 0.005  # a row may say things of the next milliseconds


class World:
    """Says rows on request, and remembers what it said. `start` it, `stop` it."""

    def __init__(self, mqtt_port: int, opcua_port: int, mtconnect_port: int, passwords: Sequence[str]) -> None:
        """`passwords` are those of the broker's users of USERS."""
        self.said: list[Said] = []
        self._mqtt_port = mqtt_port
        self._opcua_port = opcua_port
        self._agent = OddAgent(mtconnect_port, [row.name for row in odd_mtconnect.ROWS])
        self._clients = [_client(user, word) for user, word in zip(USERS, passwords, strict=True)]
        self._listener = self._clients[USERS.index("gateway")]
        self._heard: asyncio.Future[tuple[str, str, int]] | None = None  # group, epoch and number of a message
        self._awaited = ""  # the device that sends it
        self._numbers = itertools.count(STEP, STEP)
        self._bd_seq = itertools.count()
        self._left: dict[type[Row], list[Row]] = {}

    async def start(self) -> None:
        """Connect to the broker, and let the OPC UA server and the MTConnect agent answer."""
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        topic = f"spBv1.0/+/DDATA/{LINE[1]}/#"
        self._listener.on_connect = lambda client, *_: client.subscribe(topic)
        self._listener.on_message = self._hear
        for client in self._clients:
            client.connect_async("127.0.0.1", self._mqtt_port, keepalive=30)
            client.loop_start()
        await self._serve()
        await self._agent.start()

    async def stop(self) -> None:
        """Let go of broker, server and agent."""
        for client in self._clients:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)
        await self._server.stop()
        await self._agent.stop()

    def draw(self, sort: type[Row], count: int, dice: random.Random) -> list[Row]:
        """Return the next rows of a sort at random, each as often as any other."""
        rows = [row for row in ROWS if type(row) is sort]
        left = self._left.setdefault(sort, [])
        while len(left) < count:
            left += dice.sample(rows, len(rows))
        drawn, self._left[sort] = left[:count], left[count:]
        return drawn

    async def say(self, row: Row) -> None:
        """Say a row at a moment of its own; raise CommandError when the broker does not take it."""
        await asyncio.sleep(_APART_S)
        moment = Moment(next(self._numbers), time.time_ns() // _MS)
        match row:
            case OnNumbers():
                await self._forge(row, moment)
            case OnMqtt():
                await self._tell(row, moment)
            case OnOpcua():
                await self._show(row, moment)
            case OnMtconnect():
                await self._observe(row, moment)
            case OnSparkplug():
                await self._bear(row, moment)
        self.said.append(Said(row, moment, time.time_ns()))

    async def _tell(self, row: OnMqtt, moment: Moment) -> None:
        for message in row.messages:
            await asyncio.sleep(message.pause_s)
            topic = f"machines/{message.topic or f'{row.name}/t'}"
            await self._publish(0, topic, message.at(moment), retain=message.retain)

    async def _observe(self, row: OnMtconnect, moment: Moment) -> None:
        for item, stamp, value, pause_s in row.observations:
            await asyncio.sleep(pause_s)
            stated = None if stamp is None else filled(stamp, moment).decode()
            self._agent.observe(row.name, item, stated, filled(value, moment).decode())

    def _hear(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        """Take the number of a message of the line; called by the client's thread."""
        heard, (_, group, _, _, device) = self._heard, message.topic.split("/")
        epoch, _, n = pb.Payload.FromString(bytes(message.payload)).uuid.partition(":")
        if heard is not None and group.endswith(f":{LINE[0]}") and device == self._awaited and n.isdecimal():
            self._heard = None
            heard.get_loop().call_soon_threadsafe(heard.set_result, (group, epoch, int(n)))

    async def _forge(self, row: OnNumbers, moment: Moment) -> None:
        # what comes before the birth of its device is not taken from anybody, and comes again
        self._awaited, self._heard = row.name, asyncio.get_running_loop().create_future()
        heard = self._heard
        await self._tell(row, moment)
        try:
            group, epoch, n = await asyncio.wait_for(heard, HEARD_S)
        except TimeoutError as error:
            raise CommandError(f"nothing was heard of {row.name} for {HEARD_S:.0f} s") from error
        for k, number in enumerate(row.numbers, start=1):
            value = pb.Metric(name="v", timestamp=moment.ms + k, datatype=DOUBLE, double_value=moment.n + k)
            body = payload(moment, [value], uuid=f"{epoch}:{n + number}")
            await self._publish(1, f"spBv1.0/{group}/DDATA/{LINE[1]}/{row.name}", body + _seq(k))

    async def _bear(self, row: OnSparkplug, moment: Moment) -> None:
        bd_seq = next(self._bd_seq) % 256
        births: set[tuple[str, str]] = set()
        seqs: dict[tuple[str, str], int] = {}
        for device in row.homes:
            node = device.group, device.edge_node
            if node not in births:
                births.add(node)
                await self._publish(1, f"spBv1.0/{node[0]}/NBIRTH/{node[1]}", _node_birth(moment, bd_seq) + _seq(0))
            for type_, body in (("DBIRTH", row.birth(moment)), *(("DDATA", body) for body in row.data(moment))):
                seqs[node] = seqs.get(node, 0) + 1
                topic = f"spBv1.0/{node[0]}/{type_}/{node[1]}/{device.name}"
                await self._publish(1, topic, body + _seq(seqs[node]))

    async def _publish(self, client: int, topic: str, body: bytes, *, retain: bool = False) -> None:
        sent = self._clients[client].publish(topic, body, qos=1, retain=retain)
        try:
            await asyncio.to_thread(sent.wait_for_publish, SENT_S)
        except (RuntimeError, ValueError) as error:
            raise CommandError(f"{topic}: {error}") from error
        if not sent.is_published():
            raise CommandError(f"the broker does not take {topic} within {SENT_S:.0f} s")

    async def _show(self, row: OnOpcua, moment: Moment) -> None:
        now = odd_opcua.when(moment)
        ok = ua.DataValue(ua.Variant(float(moment.n), ua.VariantType.Double), ua.StatusCode(0), now, now)
        # a server that says the same again has said nothing
        for name, value in (("v", _nothing(now)), ("v", row.value(moment)), ("ok", ok)):
            await self._server.write_attribute_value(self._node_id(row.name, name), value)

    async def _serve(self) -> None:
        self._server = Server(iserver=NarrowServer())
        await self._server.init()
        await state_limits(self._server)
        self._server.set_endpoint(f"opc.tcp://127.0.0.1:{self._opcua_port}")
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._index = await self._server.register_namespace(_URI)
        begin = datetime.now(UTC)
        for row in odd_opcua.ROWS:
            for name, first in (("v", row.value(Moment(0, 0)).Value), ("ok", ua.Variant(0.0))):
                node = self._node_id(row.name, name)
                await self._server.nodes.objects.add_variable(node, name, first)
                await self._server.write_attribute_value(node, _nothing(begin))
        await self._server.start()

    def _node_id(self, row: str, name: str) -> ua.NodeId:
        return ua.NodeId(f"{row}/{name}", self._index)


def _nothing(time: datetime) -> ua.DataValue:
    before = time - timedelta(milliseconds=1)
    return ua.DataValue(ua.Variant(None), ua.StatusCode(UNSAID), before, before)


def _client(user: str, password: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"world-{user}", clean_session=True)
    client.username_pw_set(user, password)
    client.reconnect_delay_set(1, 2)
    return client


def _node_birth(moment: Moment, bd_seq: int) -> bytes:
    number = pb.Metric(name="bdSeq", timestamp=moment.ms, datatype=INT64, long_value=bd_seq)
    rebirth = pb.Metric(name="Node Control/Rebirth", timestamp=moment.ms, datatype=BOOLEAN, boolean_value=False)
    return payload(moment, [number, rebirth])


def _seq(number: int) -> bytes:
    return b"\x18" + bytes([number % 128])


def entries(broker: str, password_file: str, opcua: str, agent: str) -> dict[str, Any]:
    """Return the machines' entries in a plant file."""
    return (
        {row.name: _mqtt_entry(row, broker, password_file) for row in ON_MQTT}
        | {row.name: _opcua_entry(row, opcua) for row in odd_opcua.ROWS}
        | {row.name: _mtconnect_entry(row, agent) for row in odd_mtconnect.ROWS}
    )


def _mqtt_entry(row: OnMqtt, broker: str, password_file: str) -> dict[str, Any]:
    account = {"address": broker, "user": "edge", "password_file": password_file}
    common = {"kind": "odd", "driver": "mqtt", "topic": f"machines/{row.name}/t", "period_s": 0.0}
    return {**common, **account, **row.options}


def _opcua_entry(row: OnOpcua, address: str) -> dict[str, Any]:
    nodes = {"v": "v", "ok": "ok", "again": "ok", "more": "v"}  # more than the server takes in one request
    signals = {name: {"node": f"nsu={_URI};s={row.name}/{node}"} for name, node in nodes.items()}
    common = {"kind": "odd", "driver": "opcua", "address": address, "security": "none", "period_s": 0.0}
    return {**common, "signals": signals, **row.options}


def _mtconnect_entry(row: OnMtconnect, address: str) -> dict[str, Any]:
    signals = {name: {"data_item": f"{row.name}-{name}"} for name in ("v", "ok")}
    common = {"kind": "odd", "driver": "mtconnect", "address": address, "device": row.name, "poll_s": 0.2}
    return {**common, "period_s": 0.0, "signals": signals}
