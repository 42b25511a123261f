"""The record that an OPC UA machine keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncua import Server

from simulators.faces.opcua.history import KEPT, KEPT_FOR, History
from simulators.machine import Signal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_the_record_is_bounded_in_number_and_in_age() -> None:
    server = Server()
    await server.init()
    history = History()
    variable = await server.nodes.objects.add_variable(2, "speed", 0.0)
    await history.begin(variable, Signal("speed", "Spindle/Speed"))
    for n in range(2 * KEPT):
        history.keep(variable.nodeid, float(n), NOON + timedelta(milliseconds=200 * n))
    values, _ = await history.read_node_history(variable.nodeid, None, None, 0)
    assert len(values) == KEPT
    newest = NOON + timedelta(hours=1)
    history.keep(variable.nodeid, -1.0, newest - KEPT_FOR)
    history.keep(variable.nodeid, -2.0, newest)
    values, _ = await history.read_node_history(variable.nodeid, None, None, 0)
    assert [value.Value.Value for value in values] == [-2.0, -1.0]
