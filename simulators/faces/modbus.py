"""Modbus TCP: one server as a gateway to all machines that it shows, each with a unit id of its own.

What lies where is in `simulators/modbus.csv` beside the plant file. A machine chooses in the factory file
`options: {modbus: {word_order: CDAB, unit_id: 3}}`; without it the order is ABCD, the ids count from 1. What a
controller refuses is answered with an exception: 2 for an address, 3 for a value, 6 for a state in which it does not
obey, 11 for a machine that is not there or whose link is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.face import Face, Place, Setting, Shown, described
from simulators.faces import _mapped as mapped
from simulators.faces import _registers as registers
from simulators.faces._mapped import COMMAND, Memory, check_port
from simulators.faces._registers import TABLES, WORD_ORDERS, Field, Table
from simulators.factory import FactoryFileError
from simulators.machine import SimulatedMachine

MAX_UNIT_ID: Final = 247
_BITS: Final = 16
_TABLE_OF: Final[dict[int, Table]] = {
    1: "coil", 5: "coil", 15: "coil", 2: "discrete", 4: "input",
    3: "holding", 6: "holding", 16: "holding", 22: "holding", 23: "holding",
}  # fmt: skip


class _Unit(Memory[Field, list[int]]):
    """A machine as tables of bits and registers."""

    def __init__(self, shown: Shown, unit_id: int, word_order: str) -> None:
        super().__init__(shown, registers.layout(shown.machine, word_order))
        self.unit_id = unit_id
        self._tables: dict[Table, list[int]] = {table: [] for table in TABLES}
        for field in self.fields:
            self._tables[field.table] += field.encode(None)

    def device(self) -> SimDevice:
        """Return it as pymodbus's server wants it; an empty table has one register that is always 0."""
        sizes = [max(1, len(self._tables[table])) for table in TABLES]
        bits = [[SimData(0, values=[False] * (-(-size // _BITS) * _BITS), datatype=DataType.BITS)] for size in sizes]
        words = [[SimData(0, values=[0] * size, datatype=DataType.REGISTERS)] for size in sizes]
        return SimDevice(self.unit_id, (bits[0], bits[1], words[2], words[3]), action=self._asked)

    async def _asked(
        self,
        function_code: int,
        _start: int,
        address: int,
        _count: int,
        current: list[int],
        wanted: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Answer a request before pymodbus does, with what is so now."""
        if self.silent:
            return ExcCodes.GATEWAY_NO_RESPONSE
        table = _TABLE_OF[function_code]
        refusal = None if wanted is None else self._write(table, address, [int(value) for value in wanted])
        content = self._tables[table]
        if table in ("coil", "discrete"):
            content = [
                sum(bit << i for i, bit in enumerate(content[at : at + _BITS])) for at in range(0, len(content), _BITS)
            ]
        current[: len(content)] = content
        return refusal

    def _write(self, table: Table, address: int, wanted: Sequence[int]) -> ExcCodes | None:
        """Hand what was written to the machine."""
        end = address + len(wanted)
        hit = [field for field in self.fields if field.table == table and field.address < end]
        hit = [field for field in hit if field.address + field.count > address]
        if end > len(self._tables[table]) or any(
            field.address < address or field.address + field.count > end for field in hit
        ):
            return ExcCodes.ILLEGAL_ADDRESS  # also for half of a number
        for field in hit:
            words = list(wanted[field.address - address : field.address - address + field.count])
            try:
                value = field.decode(words)
            except ValueError:
                return ExcCodes.ILLEGAL_VALUE
            if value is None:
                return ExcCodes.ILLEGAL_VALUE
            if field.type == "bool" and field.access == "write" and not value:
                continue  # a button that is let go
            if self.shown.command(field.name.removeprefix(COMMAND), value):
                return ExcCodes.DEVICE_BUSY if field.type == "bool" else ExcCodes.ILLEGAL_VALUE
            self.put(field, words)
        return None

    def get(self, field: Field) -> list[int]:
        """Return the registers, or the bit, of a field."""
        return self._tables[field.table][field.address : field.address + field.count]

    def put(self, field: Field, cells: list[int]) -> None:
        """Let them be these from now on."""
        self._tables[field.table][field.address : field.address + field.count] = cells


async def _nobody(*_request: object) -> ExcCodes:
    """Answer for unit ids that no machine has, as a gateway does."""
    return ExcCodes.GATEWAY_NO_RESPONSE


class Modbus(Face):
    """A Modbus TCP server with a unit id for each machine."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.map = setting.folder / "simulators" / "modbus.csv"
        self._units: dict[int, _Unit] = {}
        self._server: ModbusTcpServer | None = None

    def show(self, machine: SimulatedMachine, place: Place) -> Shown:
        """Give the machine a unit id and a map; raise FactoryFileError for options that are none."""
        options = machine.options.get("modbus", {})
        where = f"machines.{machine.id}.options.modbus"
        if not isinstance(options, dict) or options.keys() - {"word_order", "unit_id"}:
            raise FactoryFileError(f"{where}: {options!r}; have: word_order, unit_id")
        order = options.get("word_order", "ABCD")
        if order not in WORD_ORDERS:
            raise FactoryFileError(f"{where}: no word order {order!r}; have: {', '.join(WORD_ORDERS)}")
        unit_id = options.get("unit_id", max(self._units, default=0) + 1)
        if not isinstance(unit_id, int) or not 1 <= unit_id <= MAX_UNIT_ID or unit_id in self._units:
            raise FactoryFileError(f"{where}: unit_id {unit_id!r} is no free one of 1 to {MAX_UNIT_ID}")
        shown = super().show(machine, place)
        self._units[unit_id] = _Unit(shown, unit_id, order)
        return shown

    async def start(self) -> None:
        """Write the register map and listen; raise OSError when the port is taken."""
        address = self.setting.listen, self.setting.modbus_port
        check_port(address, "Modbus")
        maps = (registers.rows(unit.shown.machine.id, unit.unit_id, unit.fields) for unit in self._units.values())
        mapped.write(self.map, registers.COLUMNS, chain.from_iterable(maps))
        empty = [SimData(0, values=[False] * _BITS, datatype=DataType.BITS)]
        words = [SimData(0, values=[0], datatype=DataType.REGISTERS)]
        nobody = SimDevice(0, (empty, empty, words, words), action=_nobody)
        server = ModbusTcpServer([nobody, *(unit.device() for unit in self._units.values())], address=address)
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise OSError(f"port {address[1]} (Modbus): {error}") from error
        self._server = server

    async def emit(self, time_ns: int) -> None:
        """Show what the machines read now."""
        for unit in self._units.values():
            unit.emit(time_ns)

    async def stop(self) -> None:
        """Close the connections and the port; safe twice."""
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]

    def entry(self, shown: Shown) -> dict[str, Any]:
        """Return the entry for the driver `modbus`."""
        machine = shown.machine
        [(unit_id, unit)] = [(unit_id, unit) for unit_id, unit in self._units.items() if unit.shown is shown]
        where = {field.name: registers.entry(field) for field in unit.fields}
        return {
            "kind": machine.kind,
            "names": dict(machine.names),
            "driver": "modbus",
            "address": f"modbus://{self.setting.host}:{self.setting.modbus_port}",
            "unit_id": unit_id,
            "signals": {signal.name: described(signal, where[signal.name]) for signal in machine.signals},
        }


FACE = Modbus
