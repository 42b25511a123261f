"""OPC UA: one server for all machines that it shows, signed and encrypted.

Below Machines each machine has its signals at their places (Spindle/Speed) with units, ranges and history, its commands
as methods and its alarms as conditions. With the OPC Foundation's nodesets (`Setting.nodesets`) it has the structure of
its companion model besides (Machine Tools, Robotics), below the official Machines (OPC 40001-1). Node ids are text and
stay: `nsu=urn:shopfloor:simulators;s=<machine>/<place>`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from asyncua import Node, Server, ua
from asyncua.common.callback import CallbackType
from asyncua.crypto import cert_gen
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from simulators.catalogs import companion
from simulators.face import Face, Reading, Setting, Shown, behind, described, looking
from simulators.faces.opcua import queues, users
from simulators.faces.opcua.alarms import Alarms
from simulators.faces.opcua.history import History
from simulators.faces.opcua.space import Shows, Space
from simulators.faces.opcua.values import GOOD, NULL, SILENT, TYPES, Frozen, data, unit
from simulators.faces.opcua.vibration import Vibration
from simulators.faces.opcua.vibration import place as vibration_place
from simulators.machine import Signal, Value
from simulators.sensor import MEASURE

NAMESPACE: Final = "urn:shopfloor:simulators"
APPLICATION: Final = "urn:shopfloor:simulators:opcua"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = object()
_TRUSTED: Final = CertificateValidatorOptions.TRUSTED_VALIDATION | CertificateValidatorOptions.PEER_CLIENT


class OpcUa(Face):
    """An OPC UA server on 127.0.0.1 with Basic256Sha256, sign and encrypt."""

    shows_blocks = True
    tells_backlog = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.server: Server | None = None
        self.certificate = setting.folder / "simulators" / "opcua.der"
        self._nodes: dict[tuple[str, str], ua.NodeId] = {}
        self._writable: dict[ua.NodeId, tuple[Shown, Signal]] = {}
        self._last: dict[tuple[str, str], Value | None] = {}
        self._written_ns: dict[tuple[str, str], int] = {}  # by then what a client has written was not known
        self._history = History()
        self._space: Space | None = None
        self._alarms: Alarms | None = None
        self._vibration = Vibration()
        self._users = None if setting.opcua_users is None else users.load(setting.opcua_users)
        self._followers: dict[tuple[str, str], list[Shows]] = {}
        self._followed: dict[ua.NodeId, object] = {}

    async def start(self) -> None:
        """Build the address space and listen; raise OSError when the port is taken."""
        with socket.socket() as probe:  # the address space takes seconds: say before it that the port is taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((self.setting.listen, self.setting.opcua_port))
        key = self._identity()
        server = Server(user_manager=self._users)
        server.iserver.history_manager.set_storage(self._history)
        server.iserver.bind_condition_methods = 1  # ConditionRefresh; its own events have severity 1
        await server.init()
        await server.set_application_uri(APPLICATION)
        server.set_endpoint(f"opc.tcp://{self.setting.listen}:{self.setting.opcua_port}")
        server.set_server_name("shopfloor simulators")
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt], self._users and users.Rules())
        if self._users is not None:
            server.set_identity_tokens([ua.UserNameIdentityToken, ua.X509IdentityToken])
        if self.setting.opcua_trusted is not None:
            store = TrustStore([self.setting.opcua_trusted], [])
            await store.load()
            server.set_certificate_validator(CertificateValidator(_TRUSTED, store))
        await server.load_certificate(self.certificate)
        await server.load_private_key(key)
        namespace = await server.register_namespace(NAMESPACE)
        if self.setting.nodesets is not None:
            self._space = Space(server, namespace, self.setting.nodesets)
            await self._space.start()
        machines = ua.NodeId("Machines", namespace)
        if self._space is None:
            await server.nodes.objects.add_folder(machines, f"{namespace}:Machines")
        self._alarms = Alarms(server, namespace, self._begin())
        await self._alarms.start()
        for shown in self.shown:
            await self._build(server, machines, shown, namespace)
            nodes = {name: node for (machine, name), node in self._nodes.items() if machine == shown.machine.id}
            self._alarms.add(shown, nodes)
        server.subscribe_server_callback(CallbackType.PreWrite, self._stamp)
        server.subscribe_server_callback(CallbackType.PostWrite, self._written)
        await server.start()
        self.server = server

    def _begin(self) -> datetime:
        from_ns = self.setting.from_ns
        return datetime.now(UTC) if from_ns is None else _EPOCH + timedelta(microseconds=from_ns // 1000)

    def _identity(self) -> Path:
        """Make the server's key and certificate if there are none; return the key's file."""
        folder = self.certificate.parent
        key_file = folder / "opcua.key.pem"
        if key_file.exists() and self.certificate.exists():
            return key_file
        folder.mkdir(parents=True, exist_ok=True)
        key = cert_gen.generate_private_key()
        names = [
            x509.UniformResourceIdentifier(APPLICATION),
            x509.DNSName(socket.gethostname()),
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address("127.0.0.1")),
        ]
        certificate = cert_gen.generate_self_signed_app_certificate(
            key, "shopfloor simulators", {}, names, [ExtendedKeyUsageOID.SERVER_AUTH], days=3650
        )
        key_file.unlink(missing_ok=True)
        with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(cert_gen.dump_private_key_as_pem(key))
        self.certificate.write_bytes(certificate.public_bytes(Encoding.DER))
        return key_file

    async def _build(self, server: Server, machines: ua.NodeId, shown: Shown, namespace: int) -> None:
        machine = shown.machine
        root = server.get_node(ua.NodeId(machine.id, namespace))
        if self._space is None:
            await server.get_node(machines).add_object(root.nodeid, f"{namespace}:{machine.id}")
        else:
            names = ua.LocalizedText(machine.names.get("en", machine.id), "en")
            facts = companion.Facts(machine.id, machine.model, f"{NAMESPACE}:{machine.id}")
            for shows in self._space.machine(machine.id, names, companion.of(machine.kind, facts)):
                for name in shows.bind.signals:
                    self._followers.setdefault((machine.id, name), []).append(shows)
        folders = {"": root}
        for signal in machine.signals:
            await self._add_signal(folders, shown, signal, namespace)
        if self.setting.from_ns is not None:
            await self._show_first(server, shown, self.setting.from_ns)
        await self._add_commands(root, shown, namespace)
        await self._vibration.add(root, shown, namespace)

    async def _add_signal(self, folders: dict[str, Node], shown: Shown, signal: Signal, namespace: int) -> None:
        machine, parent = shown.machine.id, ""
        *levels, last = signal.place.split("/")
        for level in levels:
            path = f"{parent}/{level}".lstrip("/")
            if path not in folders:
                node = ua.NodeId(f"{machine}/{path}", namespace)
                folders[path] = await folders[parent].add_object(node, f"{namespace}:{level}")
            parent = path
        node_id = ua.NodeId(f"{machine}/{signal.place}", namespace)
        variant = ua.Variant(NULL[signal.datatype], TYPES[signal.datatype])
        variable = await folders[parent].add_variable(node_id, f"{namespace}:{last}", variant)
        if signal.unit:
            await variable.add_property(
                ua.NodeId(f"{machine}/{signal.place}/EngineeringUnits", namespace),
                "0:EngineeringUnits",
                unit(signal.unit),
            )
        if signal.low is not None and signal.high is not None:
            await variable.add_property(
                ua.NodeId(f"{machine}/{signal.place}/EURange", namespace),
                "0:EURange",
                ua.Range(signal.low, signal.high),
            )
        if signal.writable:
            await variable.set_writable()
            self._writable[node_id] = (shown, signal)
        self._nodes[machine, signal.name] = node_id
        await self._history.begin(variable, signal)

    async def _show_first(self, server: Server, shown: Shown, time_ns: int) -> None:
        """Show what holds when simulated time begins, so that no reader is told anything that is stamped otherwise."""
        machine, stamp = shown.machine.id, self._begin()
        reading = shown.machine.read()
        shown.note(time_ns // 1000 * 1000, {signal.name: reading[signal.name] for signal in shown.machine.signals})
        for signal in shown.machine.signals:
            value = self._last[machine, signal.name] = reading[signal.name]
            await server.write_attribute_value(self._nodes[machine, signal.name], data(signal, value, stamp))
        shown.count([signal.name for signal in shown.machine.signals])

    async def _add_commands(self, root: Node, shown: Shown, namespace: int) -> None:
        machine = shown.machine
        commands = await root.add_object(ua.NodeId(f"{machine.id}/Commands", namespace), f"{namespace}:Commands")
        measures = [MEASURE] if shown.sensors is not None and shown.sensors.names else []
        for name in (*machine.commands, *measures):

            async def call(_parent: ua.NodeId, value: ua.Variant, name: str = name) -> list[ua.Variant]:
                reason = shown.command(name, value.Value if value.Value is not None else "")
                return [ua.Variant(not reason), ua.Variant(reason)]

            node = ua.NodeId(f"{machine.id}/Commands/{name}", namespace)
            await commands.add_method(
                node,
                f"{namespace}:{name}",
                call,
                [_argument("Value", ua.ObjectIds.BaseDataType)],
                [_argument("Done", ua.ObjectIds.Boolean), _argument("Reason", ua.ObjectIds.String)],
            )

    async def _stamp(self, event: Any, _dispatcher: Any = None) -> None:
        """A client writes: what is shown has the machine's time from then on."""
        if not event.is_external:
            return
        for item in event.request_params.NodesToWrite:
            found = self._writable.get(item.NodeId)
            if found is not None and item.AttributeId == ua.AttributeIds.Value:
                before_ns = found[0].stamp_ns // 1000 * 1000 + 1000
                stamp_ns = before_ns if self.setting.from_ns is not None else max(before_ns, time.time_ns())
                stamp = _EPOCH + timedelta(microseconds=stamp_ns // 1000)
                item.Value = replace(item.Value, SourceTimestamp=stamp)

    async def _written(self, event: Any, _dispatcher: Any = None) -> None:
        """A client wrote: let the machine decide, and say so in the result of each node."""
        if not event.is_external:
            return
        for i, item in enumerate(event.request_params.NodesToWrite):
            found = self._writable.get(item.NodeId)
            if found is None or not event.response_params[i].is_good():
                continue
            shown, signal = found
            value, stamp = item.Value.Value.Value, item.Value.SourceTimestamp
            stamp_ns = (stamp - _EPOCH) // timedelta(microseconds=1) * 1000
            shown.note(stamp_ns, {signal.name: value})
            self._history.keep(item.NodeId, value, stamp)
            self._last[shown.machine.id, signal.name] = value  # the next emission shows what is so, if that is not it
            if shown.command(signal.name, value):
                event.response_params[i] = ua.StatusCode(ua.StatusCodes.BadOutOfRange)
            else:
                self._written_ns[shown.machine.id, signal.name] = shown.stamp_ns

    async def emit(self, time_ns: int) -> None:
        """Write what changed into the address space."""
        server, alarms = self.server, self._alarms
        if server is None or alarms is None:
            return
        for shown in self.shown:
            for stamp_ns, reading in shown.messages(time_ns):
                stamp = _EPOCH + timedelta(microseconds=stamp_ns // 1000)
                machine, due = shown.machine.id, [s for s in shown.machine.signals if shown.due(s, stamp_ns)]
                changed = [s for s in due if self._last.get((machine, s.name), _NEVER) != reading[s.name]]
                told_ns, emitted = stamp_ns // 1000 * 1000, [s.name for s in changed if not s.writable]
                shown.note(told_ns, {name: reading[name] for name in emitted})
                for signal in changed:
                    value = reading[signal.name]
                    if signal.writable:
                        if stamp_ns <= self._written_ns.get((machine, signal.name), -1):
                            continue  # a client has written since this was read
                        shown.note(told_ns, {signal.name: value})
                        emitted.append(signal.name)
                    self._last[machine, signal.name] = value
                    node = self._nodes[machine, signal.name]
                    await server.write_attribute_value(node, data(signal, value, stamp))
                    self._history.keep(node, value, stamp)
                shown.count(emitted)
                await self._follow(server, machine, emitted, reading, stamp)
                await alarms.show(machine, reading, stamp)
            await self._vibration.show(server, shown, time_ns)

    async def _follow(
        self, server: Server, machine: str, changed: Sequence[str], reading: Reading, stamp: datetime
    ) -> None:
        """Write what the companion models say about the changed signals."""
        if self._space is None:
            return
        due = {shows.node: shows for name in changed for shows in self._followers.get((machine, name), ())}
        for node, shows in due.items():
            values = [reading[name] for name in shows.bind.signals]
            if None in values:
                found, shown = None, ua.DataValue(ua.Variant(), SILENT, stamp, stamp)
            else:
                found = shows.bind.of(*values)
                shown = Frozen(self._space.value(shows, found), GOOD, stamp, stamp)
            if self._followed.get(node, _NEVER) != found:
                self._followed[node] = found
                await server.write_attribute_value(node, shown)

    def missing(self) -> str:
        """Say which machines nobody has subscribed."""
        nodes = set() if self.server is None else queues.monitored(self.server)
        heard = {machine for (machine, _), node in self._nodes.items() if node in nodes}
        unheard = [shown.machine.id for shown in self.shown if shown.machine.id not in heard]
        return f"nobody subscribes {', '.join(unheard)} on OPC UA" if unheard else ""

    def backlog(self) -> float:
        """Return how full the fullest queue of a monitored item is; 1 while a machine has no reader."""
        return 1.0 if self.server is None or self.missing() else queues.fill(self.server)

    async def stop(self) -> None:
        """Close the sessions and the port."""
        server, self.server = self.server, None
        if server is not None:
            if (clock := server.iserver.time_task) is not None:
                # it looks only once a second whether it shall stop, and asyncua waits for it
                clock.cancel()
                server.iserver.time_task = None
            await server.stop()

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `opcua`."""
        machine = shown.machine
        operator = self._users and self._users.operator(self.setting.folder)
        sensors = shown.sensors.names if shown.sensors else ()
        blocks = {
            name: {"node": f"nsu={NAMESPACE};s={vibration_place(machine.id, name)}", **behind(machine, name)}
            for name in sensors
        }
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "opcua",
            "address": f"opc.tcp://{self.setting.host}:{self.setting.opcua_port}",
            **(operator or {}),
            "security": {
                "policy": "Basic256Sha256",
                "mode": "sign_and_encrypt",
                "trust": str(self.certificate.relative_to(self.setting.folder)),
            },
            "signals": {
                signal.name: described(signal, {"node": f"nsu={NAMESPACE};s={machine.id}/{signal.place}"})
                for signal in machine.signals
            },
            "events": {"sources": [machine.id]},
            **({"blocks": blocks} if blocks else {}),
            **looking(machine, sensors),
        }


def _argument(name: str, datatype: int) -> ua.Argument:
    return ua.Argument(Name=name, DataType=ua.NodeId(datatype), ValueRank=-1)


FACE = OpcUa
