"""The gateway, composed: one connection to the broker, one spool, one store, and a clock that moves what is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from contract.broker import Broker
from contract.identity import Ids
from contract.loss import SourceLedger
from contract.mqtt import Session, Subscription, Will
from contract.topics import SPARKPLUG, Node, state_topic
from gateway.acks import Acks, rebirth_command
from gateway.cloud import Cloud
from gateway.commands import Commands
from gateway.config import Settings, cloud_of, commands_of, store_of
from gateway.deliver import Deliverer
from gateway.events import EventMirror
from gateway.forward import Forwarder
from gateway.health import HealthServer
from gateway.host import Gap, Host, Presence
from gateway.ledger import Ledger, LedgerError
from gateway.ledger.balance import GATEWAY, LedgerPublisher
from gateway.ledger.quarantine import Quarantine
from gateway.ledger.tally import Delivered, Tally
from gateway.mirror import LOOK_AT_EDGE, Mirror, Why
from gateway.reader import Decoded, Reader
from gateway.receive import Receiver
from gateway.retained import RetainedSession
from gateway.seed import open_ids
from gateway.sinks import Cursors
from gateway.standby import LONGEST_PATIENCE_S, PATIENCE_S, Ends, Standby
from gateway.store import Store
from gateway.view import CloudView, NodeView, View
from spool import Spool, SpoolError

MakeSession = Callable[..., Session]

TICK_S: Final = 0.05
FLUSH_S: Final = 1.0
# not spBv1.0/#: our own commands would come back, and a broker may not let us read those of others
SUBSCRIPTIONS: Final = [
    *(Subscription(f"{SPARKPLUG}/+/{type_}/+", qos) for type_, qos in (("NDEATH", 1), ("NBIRTH", 0), ("NDATA", 0))),
    *(Subscription(f"{SPARKPLUG}/+/{type_}/+/+", 0) for type_ in ("DBIRTH", "DDEATH", "DDATA")),
]

log = structlog.get_logger()


class Gateway:
    """All parts of a gateway. `start`, then `tick` every `TICK_S` while `alive`, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        mirror_broker: Broker | None = None,
        *,
        make_session: MakeSession = Session,
        store: Store | None = None,
        cloud: Cloud | None = None,
    ) -> None:
        """What touches the world may be given: a session with the broker is made anew after another gateway stood in.

        Without `store` and `cloud` they are those of the settings.
        """
        self._make_session = make_session
        self._settings = settings
        self._presence = Presence()
        self._lock = threading.Lock()  # the host's sessions: the network's thread and the ticking one
        self._ledger = Ledger(settings.folder / "ledger.db")
        self._host = Host(self._ledger, reorder_s=settings.reorder_s)
        self._mirror = Mirror()
        self._events = EventMirror()
        self._decoded = Decoded()
        self._taken_back: list[str] = []
        self._next_flush = 0.0
        self._ledger_trouble = ""
        self._broker = broker
        self._client_id = f"gateway-{settings.host_id}"
        self._state = state_topic(settings.host_id)
        self._ends = Ends(time.monotonic)
        self._has_lost = False  # a connection since it began, or since it took over
        self._yields = False  # another gateway was found
        self._standby: Standby | None = None
        self._patience_s = PATIENCE_S
        self._session = self._new_session()
        self._own_mirror_session: Session | None = None
        if mirror_broker is not None:
            name = f"{self._client_id}-mirror"
            self._own_mirror_session = make_session(mirror_broker, name, on_connect=self._mirror_connected)
        self._retained = RetainedSession(self._own_mirror_session or self._session)
        self._store = store_of(settings) if store is None else store
        self._cloud = cloud_of(settings) if cloud is None else cloud
        self.health = HealthServer(settings.gateway_host, settings.gateway_port, self.view)

    def start(self) -> None:
        """Open the files, start all threads; raise SpoolError, LedgerError or OSError, with nothing left open."""
        settings = self._settings
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._spool = Spool.open(settings.folder / "gateway.spool", max_bytes=settings.gateway_spool_bytes)
        try:
            self._ledger.open()
            self._compose()
            self.health.start(self._quarantine)
        except (OSError, LedgerError, SpoolError):
            self._spool.close()
            self._ledger.close()
            raise
        if self._spool.salvage is not None:
            log.error("the spool was damaged", salvage=str(self._spool.salvage))
            now_ns = time.time_ns()
            detail = f"{self._spool.salvage.reason}; {self._spool.salvage.kept} messages were kept"
            self._ledger.account.tell(GATEWAY, "gateway_spool", now_ns, now_ns, outcome="noted", detail=detail)
        self._forwarder.start()
        if self._deliverer is not None:
            self._deliverer.start()
        if self._commands is not None:
            self._commands.start()
        self._session.start()
        if self._own_mirror_session is not None:
            self._own_mirror_session.start()

    def _new_session(self) -> Session:
        return self._make_session(
            self._broker,
            self._client_id,
            subscriptions=[Subscription(self._state, 1), *SUBSCRIPTIONS],
            will=self._will,
            on_message=self._received,
            on_connect=self._connected,
            on_disconnect=self._disconnected,
        )

    def _compose(self) -> None:
        spool = self._spool
        ids = self._open_ids()
        reader = self._reader = Reader(spool, self._ledger, self._decoded, ids)
        reader.load()
        self._acks = Acks(lambda node, epoch: spool.received("/".join(node), epoch))
        delivered = Delivered(spool)
        cursors = self._cursors = Cursors(spool, has_cloud=self._cloud is not None)
        held = cursors.load()
        self._deliverer: Deliverer | None = None
        self._commands = self._new_commands(ids)
        if self._cloud is not None:
            self._deliverer = Deliverer(
                spool,
                self._cloud,
                cursors,
                self._ledger,
                delivered,
                ids=ids,
                held=held,
                most_bytes=self._settings.gateway_cloud_bytes,
            )
        self._receiver = Receiver(
            self._host,
            spool,
            acks=self._acks,
            ledger=self._ledger,
            mirror=self._mirror,
            decoded=self._decoded,
            ids=ids,
            hold=None if self._deliverer is None else self._deliverer.hold,
            events=self._events,
        )
        self._receiver.remember(reader.births)
        tally = Tally(spool)
        if not tally.load() and not self._knows_spool() and self._ledger.account.rebase():
            now_ns = time.time_ns()
            detail = "the gateway's spool began anew: what it held and the store did not have yet is lost"
            self._ledger.account.tell(GATEWAY, "gateway_spool", now_ns, now_ns, detail=detail)
        self._forwarder = Forwarder(spool, self._store, reader, self._ledger, tally, cursors=cursors)
        self._publisher = LedgerPublisher(
            self._ledger, tally, spool, ids, cursors=cursors, delivered=delivered, tell=self._tell_cloud
        )
        # a connection of its own: what people replay must not wait for the live data, nor hold it up
        token_file = self._settings.gateway_token_file
        settings = self._settings
        self._quarantine = Quarantine(
            self._ledger, spool, store_of(settings), token_file, ids, cloud=cloud_of(settings)
        )

    def _knows_spool(self) -> bool:
        """Whether the spool has received anything that the ledger knows of; a store that was never there took none."""
        account = self._ledger.account
        return any(
            self._spool.received("/".join(node), epoch) for node in account.nodes() for epoch in account.epochs(node)
        )

    def _open_ids(self) -> Ids:
        ids, self._taken_back = open_ids(self._spool, self._ledger.account, time.time_ns())
        notes = ids.notes()
        if notes:  # an older gateway kept no ids: the ledger tells what changes before it does
            self._ledger.flush()
            try:
                self._spool.set_notes(notes)
            except SpoolError as error:  # they go with the first message that finds room
                log.warning("the table of ids could not be kept yet", reason=str(error))
            else:
                ids.noted(notes)
        return ids

    def _tell_cloud(self, node: Node, told: SourceLedger) -> None:
        if self._deliverer is not None:
            self._deliverer.tell(node, told)

    def _new_commands(self, ids: Ids) -> Commands | None:
        source, cloud = commands_of(self._settings), cloud_of(self._settings)
        if source is None or cloud is None:
            return None
        return Commands(
            source,
            cloud,  # a connection of its own: a backlog of events holds no answer up
            nodes=self._nodes,
            publish=lambda topic, payload: self._session.publish(topic, payload, qos=1),
            asset=lambda node: ids.asset(node, None),
        )

    def _nodes(self) -> dict[Node, bool]:
        """Return the edge nodes that take commands, and whether each lives; none while this gateway does not serve."""
        if self._standby is not None or not self._session.is_connected:
            return {}
        with self._lock:
            return {node: session.online for node, session in self._host.sessions.items() if session.acknowledges}

    @property
    def alive(self) -> bool:
        """Whether the threads that must run do; when not, the process should end and be started again."""
        mirror_alive = self._own_mirror_session is None or self._own_mirror_session.is_alive
        delivers = self._deliverer is None or self._deliverer.alive
        commands = self._commands is None or self._commands.alive
        return self._network_alive and mirror_alive and self._forwarder.alive and delivers and commands

    @property
    def _network_alive(self) -> bool:
        return self._session.is_alive if self._standby is None else self._standby.is_alive

    def tick(self, now: float, now_ns: int) -> None:
        """Do what is due: acknowledgements, rebirth requests, the mirror, the ledger."""
        now_ms = now_ns // 1_000_000
        if self._yields or self._standby is not None:
            self._give_way(now, now_ms)
        self._acks.tick(now, now_ms, self._session.publish)
        with self._lock:
            due = self._host.tick(now) if self._session.is_connected else None
        if due is not None:
            for node in due.rebirth:
                log.info("rebirth requested", node="/".join(node))
                self._session.publish(node.topic("NCMD"), rebirth_command(now_ms))
            for node in due.lost:
                doubt = self._host.sessions[node].doubt
                log.warning("edge node does not count as online any more", node="/".join(node), reason=doubt)
                self._ledger.account.tell(node, "offline", now_ns, now_ns, outcome="noted", detail=doubt)
                self._mirror.died(node, time_ms=now_ms, why=Why("edge_silent", doubt, LOOK_AT_EDGE))
            for gap in due.gaps:
                self._tell_gap(gap, now, now_ns)
        if self._retained.keeps_again(now):
            if self._presence.online:
                self._session.publish(self._state, self._presence.birth(), qos=1, retain=True)
            self._mirror.connected()
            self._publisher.forget()
        self._mirror.tick(now, now_ms, self._retained.publish)
        self._events.tick(self._retained.session.publish)
        self._publisher.tick(
            now, now_ms, lambda topic, payload: self._retained.publish_acknowledged(topic, payload, now)
        )
        if now >= self._next_flush:
            self._next_flush = now + FLUSH_S
            self._flush()

    def _give_way(self, now: float, now_ms: int) -> None:
        """Yield to another gateway of the same name, and take over when it is gone."""
        if self._standby is None:
            log.error("another gateway with this name is online; this one stands by", name=self._settings.host_id)
            if self._presence.online:
                self._session.publish(self._state, self._presence.death(now_ms), qos=1, retain=True)
            self._session.stop(1.0)
            self._presence.online = False
            self._session = self._new_session()
            if self._own_mirror_session is None:
                self._retained = RetainedSession(self._session)
            self._standby = Standby(self._broker, self._client_id, self._state, self._presence, self._patience_s)
            self._patience_s = min(2 * self._patience_s, LONGEST_PATIENCE_S)
            self._standby.start()
        elif self._standby.is_free(now):
            log.warning("this gateway takes over")
            self._standby.stop()
            self._presence.take_over(self._standby.heard)
            self._ledger.account.take_over()
            self._standby, self._yields, self._has_lost = None, False, False
            self._session.start()

    def _tell_gap(self, gap: Gap, now: float, now_ns: int) -> None:
        since_ns = now_ns - round((now - gap.since) * 1e9)
        detail = f"sequence numbers {gap.first} to {gap.last} never came"
        self._ledger.account.tell(
            gap.node, "sequence", since_ns, now_ns, count=gap.messages, first=gap.first, last=gap.last, detail=detail
        )
        self._next_flush = now

    def stop(self) -> None:
        """Say goodbye, end all threads and close the files; at most about 3 s."""
        if self._standby is not None:
            self._standby.stop()
        if self._commands is not None:
            self._commands.stop(0.2)
        if self._presence.online:
            self._session.publish(self._state, self._presence.death(time.time_ns() // 1_000_000), qos=1, retain=True)
        self._session.stop(1.0)
        if self._own_mirror_session is not None:
            self._own_mirror_session.stop(1.0)
        if self._deliverer is not None:
            self._deliverer.stop(0.0)  # both end at the same time
        self._forwarder.stop(1.0)
        if self._deliverer is not None:
            self._deliverer.stop(0.2)
        self.health.stop()
        self._quarantine.close()
        self._flush()
        try:
            self._spool.close()
        except SpoolError as error:
            log.error("the spool could not be closed in time", reason=str(error))  # noqa: TRY400 the reason is the message
        self._flush()
        self._ledger.close()
        if not self._forwarder.alive:
            self._store.close()
        if self._cloud is not None and self._deliverer is not None and not self._deliverer.alive:
            self._cloud.close()

    def view(self) -> View:
        """Return what health and metrics are made of."""
        now, now_ns = time.monotonic(), time.time_ns()
        settings = self._settings
        account = self._ledger.account
        with self._lock:
            nodes = [
                NodeView(
                    node,
                    session.online,
                    None if (seen_ns := account.seen_ns(node)) is None else max(0.0, (now_ns - seen_ns) / 1e9),
                    settings.silent_s if session.acknowledges else settings.foreign_silent_s,
                    waits=session.acknowledges,
                    doubt=session.doubt,
                    trouble=self._reader.plant_troubles.get(node, ""),
                )
                for node, session in self._host.sessions.items()
            ]
        return View(
            now=now,
            now_ns=now_ns,
            connected=self._session.is_connected,
            trouble=self._trouble(),
            network_alive=self._network_alive,
            state_online=self._presence.online and self._session.is_connected,
            forwarding=self._forwarder.alive,
            progress=self._forwarder.progress,
            spool=self._spool.stats,
            cloud=self._cloud_view(),
            kept=self._cursors.kept,
            not_shown=self._events.missed,
            ledger_trouble=self._ledger_trouble,
            nodes=nodes,
            counters=self._ledger.totals(),
            stuck_s=settings.stuck_s,
            mirror_trouble=self._retained.trouble,
        )

    def _cloud_view(self) -> CloudView | None:
        deliverer = self._deliverer
        if deliverer is None:
            return None
        most = self._settings.gateway_cloud_bytes
        return CloudView(deliverer.alive, deliverer.progress, *deliverer.held, most)

    def _trouble(self) -> str:
        if self._standby is not None:
            return (
                f"another gateway with the name {self._settings.host_id} is online, this one stands by; "
                "stop one of them, or give it another name (SHOPFLOOR_HOST_ID)"
            )
        if self._ends.are_many:
            return f"the connection ends again and again: another client may be connected as {self._client_id}"
        return self._session.reason

    def _will(self) -> Will:
        return Will(self._state, self._presence.will(time.time_ns() // 1_000_000), qos=1, retain=True)

    def _connected(self) -> None:
        self._session.publish(self._state, self._presence.birth(), qos=1, retain=True)
        with self._lock:
            self._host.connected(time.monotonic())
            waiting = {node for node, session in self._host.sessions.items() if session.acknowledges}
        self._ledger.account.away(time.time_ns(), waiting)
        if self._own_mirror_session is None:
            self._mirror_connected()

    def _mirror_connected(self) -> None:
        for topic in self._taken_back:  # before those that an asset has still
            self._retained.publish(topic, b"")
        self._mirror.connected()
        self._publisher.forget()
        self._retained.connected()

    def _disconnected(self, reason: str) -> None:
        self._presence.online = False
        self._has_lost = True
        if self._ends.add():
            log.error("the connection ends again and again", reason=f"{reason}; {self._trouble()}")

    def _received(self, topic: str, body: bytes, retained: bool) -> None:
        if topic == self._state:
            self._watch_state(body)
        elif not retained:  # Sparkplug retains nothing else: a retained birth would be an old one
            with self._lock:
                self._receiver.receive(topic, body, time.monotonic(), time.time_ns())

    def _watch_state(self, body: bytes) -> None:
        """Say again that we are online when a late will says otherwise (Sparkplug 3.0, chapter 5)."""
        is_online_elsewhere = self._presence.is_online_elsewhere(body)
        if is_online_elsewhere or (self._has_lost and self._presence.is_of_another(body)):
            self._yields = True
        elif self._presence.contradicted_by(body):
            self._session.publish(self._state, self._presence.birth(), qos=1, retain=True)

    def _flush(self) -> None:
        try:
            self._ledger.flush()
        except LedgerError as error:
            if not self._ledger_trouble:
                log.error("the ledger cannot be written", reason=str(error))  # noqa: TRY400 the reason is the message
            self._ledger_trouble = str(error)
        else:
            self._ledger_trouble = ""
