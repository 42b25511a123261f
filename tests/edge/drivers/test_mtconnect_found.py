"""What a device itself says of its signals, where the plant file lists none."""

from __future__ import annotations

from dataclasses import replace

from contract.model import Datatype
from edge.driver import Counters
from edge.drivers._mtconnect.documents import DataItem, Device
from edge.drivers._mtconnect.items import MOST_FOUND, signals_of

ITEM = DataItem("x1", "Xabs", "SAMPLE", "POSITION", "ACTUAL", "MILLIMETER", "VALUE", "", ("mill", "Xabs"))


def found(*items: DataItem, counters: Counters | None = None) -> dict[str, tuple[str | None, Datatype | None, str]]:
    signals = signals_of(Device("Device", "mill", "u1", items), counters or Counters())
    return {name: (entry.data_item, entry.datatype, entry.unit) for name, entry in signals.items()}


def test_a_data_item_is_a_signal_with_its_name_type_and_unit() -> None:
    event = replace(ITEM, id="e1", name="execution", category="EVENT", units="")
    count = replace(ITEM, id="p1", name="parts", category="EVENT", type="PART_COUNT", units="")
    condition = replace(ITEM, id="c1", name="servo", category="CONDITION", units="")
    assert found(ITEM, event, count, condition) == {
        "Xabs": ("x1", Datatype.DOUBLE, "mm"),
        "execution": ("e1", Datatype.STRING, ""),
        "parts": ("p1", Datatype.DOUBLE, ""),
        "servo": ("c1", Datatype.STRING, ""),
    }


def test_names_that_stand_twice_or_cannot_be_names_give_way_to_the_id() -> None:
    twice = [replace(ITEM, id="a"), replace(ITEM, id="b"), replace(ITEM, id="c 1", name="")]
    assert list(found(*twice)) == ["a", "b", "c_1"]
    [first, second] = found(replace(ITEM, id="a", name="T 1"), replace(ITEM, id="b", name="T-1"), counters=None)
    assert (first, second) == ("T_1", "T-1")
    alike = found(replace(ITEM, id="a", name="T 1"), replace(ITEM, id="b", name="T_1"))
    assert len(alike) == 2


def test_three_numbers_are_three_signals_and_what_has_no_single_value_is_none() -> None:
    position = replace(ITEM, units="MILLIMETER_3D")
    series = replace(ITEM, id="s", name="wave", representation="TIME_SERIES")
    assert list(found(position, series)) == ["Xabs.x", "Xabs.y", "Xabs.z"]


def test_a_device_with_too_many_is_told() -> None:
    counters = Counters()
    many = found(*(replace(ITEM, id=f"i{n}", name=f"n{n}") for n in range(MOST_FOUND + 10)), counters=counters)
    assert len(many) <= MOST_FOUND
    assert "list those that count" in counters.notes["too many"]
