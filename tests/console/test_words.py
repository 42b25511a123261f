"""In the Chinese view everything is Chinese: what ships is walked, word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cloud.diagnosis.rules import load as rules
from cloud.problems import Code
from cloud.registry.kind import KINDS
from contract.model import Asset
from edge.entry import Place
from edge.health import node_asset
from simulators.factory import load
from simulators.machine import SimulatedMachine

SOURCES = Path(__file__).parents[2] / "cloud" / "console" / "src"
FACTORIES = ("default.yaml", "hall.yaml", "workshops.yaml")
HAN = re.compile(r"[\u4e00-\u9fff]")
NAMES_OF_THINGS = {"program", "part"}
"""Signals whose values are names, not words."""


def shipped() -> Iterator[SimulatedMachine]:
    """Give one machine of every kind that ships."""
    kinds: dict[str, SimulatedMachine] = {}
    for factory in FACTORIES:
        for stand in load(Path(factory)).stands:
            kinds.setdefault(stand.machine.kind, stand.machine)
    yield from kinds.values()


def edge_node() -> Asset:
    """Return an edge node as it announces itself."""
    return node_asset(Place(**dict.fromkeys(("enterprise", "site", "area", "line"), "x")), ["cnc-01"])


def words() -> set[str]:
    """Return what the machines that ship say in words: states by the server's table, modes, verdicts, alarms."""
    text = "\n".join(path.read_text() for path in (SOURCES.parents[2] / "simulators").rglob("*.py"))
    raised = set(re.findall(r"raise_alarm\(catalog\.(\w+)\)", text))
    alarms = {said for name, said in re.findall(r"^(\w+): Final = \"(.+)\"", text, re.MULTILINE) if name in raised}
    alarms |= {trip.alarm for machine in shipped() for trip in machine.protection}
    modes = re.findall(r"_MODE: Final = _same\((.*?)\)", text)[0].replace('"', "").split(", ")
    said = {word.upper() for kind in KINDS.values() for word in kind.conditions} - {"FALSE", "TRUE"}
    return said | alarms | set(modes) | {"good", "scrap"}


def announced(signal: Any) -> dict[str, Any]:
    facts = ("name", "datatype", "unit", "low", "high", "deadband", "description")
    return {name: getattr(signal, name) for name in facts}


@pytest.mark.parametrize("machine", [*shipped(), edge_node()], ids=lambda machine: machine.kind)
def test_every_signal_that_ships_has_a_chinese_name(
    visitor: Page, plant: Any, cloud: Any, machine: SimulatedMachine | Asset
) -> None:
    plant.announce(machine.id, kind=machine.kind, signals=[announced(s) for s in machine.signals], **machine.names)
    plant.say(machine.id, **{s.name: "ACTIVE" for s in machine.signals if s.name == "execution"}, power=1.5)
    visitor.goto(cloud.address)
    visitor.evaluate("localStorage.setItem('shopfloor.locale', 'zh')")
    visitor.goto(f"{cloud.address}/machines/{machine.id}")
    rows = visitor.get_by_test_id("signals").locator("tbody tr")
    expect(rows).to_have_count(len(machine.signals))
    for label, title in rows.evaluate_all(
        "rows => rows.map((row) => [row.querySelector('.label').textContent, row.querySelector('.name').title])"
    ):
        assert HAN.search(label), label
        described = title.split(" · ")[1:-1]
        assert all(HAN.search(text) for text in described), title
    for fact in visitor.locator("[data-testid=machine-head] dl > div").all()[:1]:
        assert HAN.search(fact.locator("dd").inner_text()), machine.kind


def test_every_word_that_machines_say_has_a_chinese_one(visitor: Page, plant: Any, cloud: Any) -> None:
    said = sorted(words())
    signals = [{"name": f"word_{n}", "datatype": "string"} for n in range(len(said))]
    plant.announce("cnc-01", signals=signals)
    plant.say("cnc-01", **{f"word_{n}": word for n, word in enumerate(said)})
    visitor.goto(cloud.address)
    visitor.evaluate("localStorage.setItem('shopfloor.locale', 'zh')")
    visitor.goto(f"{cloud.address}/machines/cnc-01")
    rows = visitor.get_by_test_id("signals").locator("tbody tr")
    expect(rows).to_have_count(len(said))
    expect(rows.locator(".value b", has_text="–")).to_have_count(0)
    shown = dict(zip(said, rows.locator(".value b").all_inner_texts(), strict=True))
    assert {word for word, text in shown.items() if not HAN.search(text)} == set()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_problem_of_the_server_has_words(language: str) -> None:
    text = (SOURCES / "i18n" / f"{language}.ts").read_text()
    block = text.partition("  problem: {\n")[2]
    known = set(re.findall(r"^    (\w+): \{", block, re.MULTILINE))
    assert {code.value for code in Code} - known == set()


def test_every_reason_why_a_machine_is_gone_has_chinese_words() -> None:
    said = set()
    for folder in ("cloud", "gateway", "edge"):
        for path in (SOURCES.parents[2] / folder).rglob("*.py"):
            said |= set(re.findall(r'Why\(\s*"(\w+)"', path.read_text()))
    for path in (SOURCES.parents[2] / "edge").rglob("*.py"):
        said |= set(re.findall(r'(?:\bcode ?= ?|StatusCodes\.\w+: )"(\w+)"', path.read_text()))
    assert {"untrusted_certificate", "login_refused", "too_many_sessions", "lost", "edge_died", "silent"} <= said
    reasons = (SOURCES / "i18n" / "terms.ts").read_text().partition("const REASONS")[2].partition("};")[0]
    assert said - set(re.findall(r"^  (\w+): \[", reasons, re.MULTILINE)) == set()


def test_every_icon_that_a_kind_names_is_drawn() -> None:
    drawn = re.findall(r"^  (\w+): \"M", (SOURCES / "components" / "icons.ts").read_text(), re.MULTILINE)
    assert {kind.icon for kind in KINDS.values()} - set(drawn) == set()


def test_every_sort_of_evidence_has_words_in_both_languages() -> None:
    said: set[tuple[str, str]] = set()
    for path in (SOURCES.parents[1] / "diagnosis").rglob("*.py"):
        said |= set(re.findall(r'(?:what=|said\(symptoms, )"(\w+)"(?: if \w+ else "(\w+)")?', path.read_text()))
    keys = {word for either in said for word in either if word}
    assert {"above", "usual", "at_once", "slowly"} <= keys
    words = (SOURCES / "pages" / "findings" / "words.ts").read_text()
    for block in words.split("  seenAs: {\n")[1:]:
        assert keys - set(re.findall(r"^    (\w+): \"", block.partition("  },")[0], re.MULTILINE)) == set()


def test_what_is_said_of_rules_is_chinese(visitor: Page, plant: Any, cloud: Any) -> None:
    """What they are called, and what they lack on a machine that has nothing of what they need."""
    names = {expected.signal for rule in rules().values() for expected in rule.expected}
    names |= {name for rule in rules().values() for name in rule.needs}
    health = {"asset": "cnc-01", "health": "unknown", "worst": None, "alarm": "", "learned": 0, "learning": None}
    lacks = dict.fromkeys(rules(), sorted(names))
    health |= {"last_run": None, "looked_at": [*rules()], "missing": lacks, "abstained": "no_data", "failed": ""}
    plant.announce("cnc-01", zh="加工中心 1")
    visitor.route("**/api/v1/diagnosis/health", lambda route: route.fulfill(json={"assets": [health]}))
    visitor.goto(cloud.address)
    visitor.evaluate("localStorage.setItem('shopfloor.locale', 'zh')")
    visitor.goto(f"{cloud.address}/health")
    details = visitor.get_by_test_id("health").locator("details")
    details.locator("summary").click()
    expect(details).to_contain_text("主轴轴承外圈损伤")
    # of axes and of what has no other word a letter is left
    words = set(re.findall(r"[A-Za-z_]{3,}", details.inner_text()))
    assert words == set()
