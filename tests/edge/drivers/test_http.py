"""What is the HTTP driver's own; what every driver does stands in conformance.py."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from edge.driver import Lost, Unreachable
from edge.drivers import http
from edge.drivers._http import MOST_BYTES
from edge.entry import Context
from tests.edge.conftest import until
from tests.edge.drivers.peers.http import HttpPeer, peer
from tests.edge.reading import read_until

PAGE = Path(__file__).parents[3] / "docs" / "write-a-driver.md"


@pytest.fixture
async def oven() -> AsyncIterator[HttpPeer]:
    async with peer() as oven:
        yield oven


@pytest.fixture
async def connect(oven: HttpPeer, context: Context) -> AsyncIterator[Callable[..., Any]]:
    """`await connect(signals, payload="text")`: a driver of the oven, closed with the test."""
    made: list[http.Driver] = []

    async def connect(signals: dict[str, Any], **options: Any) -> http.Driver:
        settings = {"address": f"http://127.0.0.1:{oven.port}/status", "poll_s": 0.01, "timeout_s": 2}
        entry = http.Entry.model_validate(settings | {"signals": signals} | options)
        made.append(http.Driver("oven-1", entry, context))
        await made[-1].connect()
        return made[-1]

    yield connect
    for driver in made:
        await driver.close()


def test_the_page_ends_in_the_driver() -> None:
    [*_, last] = re.findall(r"^```python\n(.*?)^```\n", PAGE.read_text(), re.M | re.S)
    assert last == Path(http.__file__).read_text()
    assert PAGE.read_text().endswith(f"{last}```\n")


async def test_values_without_a_time_have_that_of_arrival(oven: HttpPeer, connect: Any) -> None:
    oven.body = orjson.dumps({"zones": [{"t": 180.5}], "program": {"name": "0012"}, "door": None})
    paths = {"temperature": "zones[0].t", "program": "program.name", "door": "door", "gone": "gone"}
    driver = await connect({name: {"path": path} for name, path in paths.items()})
    first, second = await driver.read(), await driver.read()
    assert {s.signal: s.value for s in first} == {"temperature": 180.5, "program": "0012", "door": None}
    assert min(s.time_ns for s in second) > max(s.time_ns for s in first)


async def test_a_list_of_machines_states_a_time_for_each_entry(oven: HttpPeer, connect: Any) -> None:
    oven.body = orjson.dumps({"log": [{"t": 1, "v": 10.0}, {"t": 2, "v": 11.0}]})
    driver = await connect({"power": {"path": "v"}}, items="log", time={"path": "t", "unit": "s"})
    samples = await driver.read()
    assert [(s.value, s.time_ns) for s in samples] == [(10.0, 1_000_000_000), (11.0, 2_000_000_000)]


async def test_a_bare_number(oven: HttpPeer, connect: Any) -> None:
    oven.body = b"21.5\r\n"
    driver = await connect({"temperature": {}}, payload="text")
    assert [s.value for s in await read_until(driver)] == [21.5]


async def test_what_is_no_json_is_counted_and_its_line_stays(oven: HttpPeer, connect: Any) -> None:
    oven.body = b"<html>"
    driver = await connect({"temperature": {"path": "t"}})
    assert await driver.read() == []
    assert driver.counters.rejected == 1
    assert "message left out: not JSON" in driver.counters.notes["not JSON"]
    oven.body = orjson.dumps({"t": 1.5})
    assert [s.value for s in await read_until(driver)] == [1.5]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("404 Not Found", "it answers 404 Not Found to /status: is the address right?"),
        ("302 Found", "it answers 302 Found to /status"),
        ("503 Busy", "it answers 503 Busy to /status"),
    ],
)
async def test_an_answer_that_is_not_200(oven: HttpPeer, connect: Any, status: str, told: str) -> None:
    driver = await connect({"temperature": {"path": "t"}})
    oven.status = status
    with pytest.raises(Lost, match=re.escape(told)):
        await driver.read()
    with pytest.raises(Unreachable, match=re.escape(told)):
        await driver.connect()


async def test_an_answer_without_end(oven: HttpPeer, connect: Any) -> None:
    oven.body = b" " * (MOST_BYTES + 1)
    with pytest.raises(Unreachable, match=f"its answer has more than {MOST_BYTES} bytes"):
        await connect({"temperature": {"path": "t"}})


async def test_one_request_at_a_time(oven: HttpPeer, connect: Any) -> None:
    """A look around waits until the machine has answered."""
    oven.body = orjson.dumps({"t": 1.5})
    driver = await connect({"temperature": {"path": "t"}})
    oven.may_answer.clear()
    reading = asyncio.create_task(driver.read())
    browsing = asyncio.create_task(anext(driver.browse()))
    await until(lambda: oven.waiting > 0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert (oven.asked, oven.waiting) == (2, 1)  # connect, and the first of both
    oven.may_answer.set()
    await reading
    assert (await browsing).address == "t"


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave the user out of the address"):
        http.Entry.model_validate({"address": "http://me:secret@127.0.0.1/status"})
