"""Ids for the names of others: distinct names have distinct ids, which can be read, and which last."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.birth import check_signal_name
from contract.identity import Ids, Row, is_canonical, level_name, path_of, shortened, signal_name
from contract.topics import Node, check_id

LINE = Node.of("demo", "shanghai", "machining", "line1")
FOREIGN = Node("P1", "L1")


class Notebook(dict[str, bytes]):
    """Notes in memory."""

    def note(self, key: str) -> bytes | None:
        return self.get(key)

    def keep(self, ids: Ids) -> None:
        notes = ids.notes()
        self.update(notes)
        ids.noted(notes)


def alike(name: str) -> list[str]:
    """Return names that differ from `name` in what is easily overlooked."""
    return [
        name,
        name.upper(),
        name.lower(),
        name.swapcase(),
        unicodedata.normalize("NFC", name),
        unicodedata.normalize("NFD", name),
        f"{name} ",
        f" {name}",
        f"{name}\u200b",
        name.replace(" ", "-"),
        name.replace(" ", "_"),
        f"{name}.quality",
        f"{name}_quality",
        f"{name}.status",
        f"{name * 80}1"[:4000],
        f"{name * 80}2"[:4000],
    ]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = st.lists(TEXT, min_size=1, max_size=6).map(
    lambda names: sorted({other for name in names for other in alike(name)})
)
LEVELS = NAMES.map(lambda names: sorted({name.replace("/", "∕") for name in names}))  # no level has a slash in it
ASCII = st.lists(st.text("aA1 -_.()[]é", min_size=1, max_size=6), min_size=1, max_size=30, unique=True)


@given(st.one_of(NAMES, ASCII), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_distinct_metrics_are_distinct_signals_in_any_order_and_after_any_restart(names: list[str], random) -> None:  # type: ignore[no-untyped-def]
    ids, notebook = Ids(), Notebook()
    first = ids.signals(FOREIGN, "d", names)
    assert len(set(first.values())) == len(names)
    assert all(check_signal_name(signal) for signal in first.values())
    assert all(first[name] == name for name in names if signal_name(name) == name)

    shuffled = random.sample(names, len(names))
    assert Ids().signals(FOREIGN, "d", shuffled) == first

    some = shuffled[: len(shuffled) // 2]
    ids = Ids()
    before = dict(ids.signals(FOREIGN, "d", some))
    notebook.keep(ids)
    again = Ids.load(notebook)
    rest = {name: again.signals(FOREIGN, "d", [name])[name] for name in reversed(shuffled)}
    assert {name: rest[name] for name in some} == before
    assert len(set(rest.values())) == len(names)


@given(LEVELS)
@settings(deadline=None)
def test_distinct_devices_and_nodes_are_distinct_assets_at_distinct_places(names: list[str]) -> None:
    ids, notebook = Ids(), Notebook()
    nodes = [Node(a, b) for a, b in itertools.product(names[:6], repeat=2)]
    keys = [(node, device) for node in nodes for device in (None, *names[:4])]
    assets = {key: ids.asset(*key) for key in keys}
    places = {node: ids.place(node) for node in nodes}
    assert len(set(assets.values())) == len(keys)
    assert len(set(places.values())) == len(nodes)
    assert all(check_id(id_) for id_ in assets.values())
    assert all(check_id(level) for place in places.values() for level in place if level != "_")
    notebook.keep(ids)
    again = Ids.load(notebook)
    assert {key: again.asset(*key) for key in reversed(keys)} == assets
    assert {node: again.place(node) for node in nodes} == places
    assert not again.notes()


@pytest.mark.parametrize(
    ("names", "signals"),
    [
        (["温度", "压力"], ["WenDu", "YaLi"]),
        (["Druck 1 (bar)", "Druck 1 [bar]"], ["Druck_1_bar_", "Druck_1_bar_-"]),
        (["Druck_1_bar_", "Druck 1 (bar)"], ["Druck_1_bar_", "Druck_1_bar_-"]),
        (["Größe", "Gro\u0308ße"], ["Grosse-", "Grosse"]),
        (["a.quality", "a_quality"], ["a_quality-", "a_quality"]),
        (["a.status"], ["a_status"]),
        (["speed", "Speed", "spindle/speed"], ["speed", "Speed", "spindle/speed"]),
    ],
)
def test_signals_can_be_read(names: list[str], signals: list[str]) -> None:
    found = Ids().signals(FOREIGN, "d", names)
    for name, wanted in zip(names, signals, strict=True):
        assert found[name] == wanted or (wanted.endswith("-") and found[name].startswith(wanted))


def test_b1_devices_of_one_name_under_two_nodes_are_two_assets() -> None:
    ids = Ids()
    assert ids.asset(Node("P1", "L1"), "Robot") == "robot"
    other = ids.asset(Node("P2", "L1"), "Robot")
    assert other.startswith("robot-")
    assert len(other) == len("robot-") + 6
    assert ids.asset(FOREIGN, "PLC1") == "plc1"
    assert ids.asset(FOREIGN, "plc1").startswith("plc1-")
    assert ids.asset(FOREIGN, "铣床1") == "xichuang1"
    assert ids.asset(FOREIGN, "车床1") == "chechuang1"


def test_a_group_is_an_enterprise_a_site_and_an_area_or_a_site_of_its_own() -> None:
    ids = Ids()
    assert ids.place(LINE) == ("demo", "shanghai", "machining", "line1")
    assert ids.place(Node("Plant 7", "Edge.1")) == ("_", "plant-7", "_", "edge-1")
    assert ids.place(Node("a:b", "c")) == ("_", "a-b", "_", "c")
    assert ids.place(Node("_:a:b", "c"))[0] != "_"
    assert ids.place(Node("a b", "c"))[1].startswith("a-b-")
    assert ids.asset(LINE, None) == "shanghai-machining-line1"


@pytest.mark.parametrize("name", ["🦾", "\u200b", "-", "_", "  ", "…"])
def test_b5_a_node_has_an_id_whatever_its_name(name: str) -> None:
    assert check_id(Ids().asset(Node(name, name), None))
    assert check_id(Ids().asset(FOREIGN, name))


def test_a_machine_of_ours_keeps_its_id_when_its_line_gets_another_name() -> None:
    ids, renamed = Ids(), Node.of("demo", "shanghai", "machining", "line-one")
    assert ids.asset(LINE, "cnc-01", stated=True) == "cnc-01"
    assert ids.asset(renamed, "cnc-01", stated=True, is_live=lambda path: False) == "cnc-01"
    assert ids.asset(renamed, "cnc-01", stated=True, is_live=lambda path: False) == "cnc-01"


def test_two_machines_of_ours_with_one_id_at_once_are_two_assets() -> None:
    ids, other = Ids(), Node.of("demo", "berlin", "machining", "line1")
    live = {path_of(LINE, "cnc-01")}
    assert ids.asset(LINE, "cnc-01", stated=True, is_live=live.__contains__) == "cnc-01"
    second = ids.asset(other, "cnc-01", stated=True, is_live=live.__contains__)
    assert second.startswith("cnc-01-")
    # and it stays so, when the first has gone
    assert ids.asset(other, "cnc-01", stated=True, is_live=lambda path: False) == second
    assert ids.asset(LINE, "cnc-01", stated=True, is_live={path_of(other, "cnc-01")}.__contains__) == "cnc-01"


def test_a_machine_that_had_moved_and_is_there_again_beside_the_other_gets_an_id_of_its_own() -> None:
    ids, other = Ids(), Node.of("demo", "berlin", "machining", "line1")
    ids.asset(LINE, "cnc-01", stated=True)
    assert ids.asset(other, "cnc-01", stated=True, is_live=lambda path: False) == "cnc-01"
    back = ids.asset(LINE, "cnc-01", stated=True, is_live={path_of(other, "cnc-01")}.__contains__)
    assert back.startswith("cnc-01-")
    assert ids.asset(other, "cnc-01", stated=True, is_live={path_of(LINE, "cnc-01")}.__contains__) == "cnc-01"


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_foreign_device_with_the_id_of_a_machine_of_ours_is_another_asset(first: str) -> None:
    ids = Ids()
    found = {}
    for whose in (first, "theirs" if first == "ours" else "ours"):
        stated = whose == "ours"
        found[whose] = ids.asset(LINE if stated else FOREIGN, "cnc-01", stated=stated)
    assert found[first] == "cnc-01"
    assert len(set(found.values())) == 2


def test_lines_of_ours_whose_places_read_the_same_are_two_assets() -> None:
    ids = Ids()
    one, other = Node.of("demo", "a", "b-c", "d"), Node.of("demo", "a-b", "c", "d")
    assert ids.asset(one, None, stated=True) == "a-b-c-d"
    assert ids.asset(other, None, stated=True, is_live=lambda path: False).startswith("a-b-c-d-")


def test_an_enterprise_does_not_take_the_machine_of_another() -> None:
    ids = Ids()
    ids.asset(LINE, "cnc-01", stated=True)
    assert ids.asset(Node.of("acme", "shanghai", "machining", "line1"), "cnc-01", stated=True).startswith("cnc-01-")


def test_a_retired_id_is_given_to_nobody() -> None:
    ids = Ids()
    ids.seed([Row("assets", None, "robot")])
    assert ids.asset(FOREIGN, "robot").startswith("robot-")


def test_a_damaged_note_costs_only_its_own_ids() -> None:
    ids, notebook = Ids(), Notebook()
    for name in ("A 1", "a-1", "B 1"):
        ids.asset(FOREIGN, name)
        notebook.keep(ids)
    b1 = ids.asset(FOREIGN, "B 1")
    del notebook["ids/1"]
    again = Ids.load(notebook)
    assert again.asset(FOREIGN, "A 1") == "a-1"
    assert again.asset(FOREIGN, "B 1") == b1 == "b-1"
    again.asset(FOREIGN, "C")
    assert "ids/3" in again.notes()


def test_what_could_not_be_kept_is_kept_with_the_next() -> None:
    ids, notebook = Ids(), Notebook()
    robot = ids.asset(FOREIGN, "Robot 1")
    lost = ids.notes()
    ids.asset(FOREIGN, "robot-1")
    notebook.keep(ids)
    assert lost.items() <= {**ids.notes(), **notebook, "ids": lost["ids"]}.items()
    assert Ids.load(notebook).asset(FOREIGN, "Robot 1") == robot


def test_beyond_the_bound_a_name_has_its_suffix_and_takes_no_memory() -> None:
    ids = Ids(most_in_scope=3)
    ids.signals(FOREIGN, "d", ["a", "b", "c"])
    ids.notes()
    further = ids.signals(FOREIGN, "d", ["d", "D", "d "])
    assert len(set(further.values())) == 3
    assert all("-" in signal for signal in further.values())
    assert ids.signals(FOREIGN, "d", ["d"])["d"] == further["d"]
    assert len(ids.signals(FOREIGN, "d", ["a"])) == 1


@given(TEXT)
def test_what_reads_well_is_an_id(name: str) -> None:
    assert check_id(level_name(name))
    assert check_signal_name(signal_name(name))
    assert not is_canonical(name) or level_name(name) == name


def test_long_texts_stay_two() -> None:
    texts = [f"{'x' * 300}{n}" for n in range(2)]
    assert len({shortened(text) for text in texts}) == 2
    assert {len(shortened(text)) for text in texts} == {256}
