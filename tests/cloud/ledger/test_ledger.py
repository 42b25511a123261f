"""The ledger of each source: kept as it was last told, and served."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from cloud.ledger.keep import LedgerError, keep, read_ledger
from cloud.parts import Parts
from contract.loss import Entry, Loss, MachineLedger, SourceLedger
from tests.cloud.chain.bring import bring, line

NOON_MS = 1_795_420_800_000
NOON_NS = NOON_MS * 1_000_000


def told(source: str = "demo:shanghai:machining/line1", *, time: int = NOON_MS, unexplained: int = 0) -> SourceLedger:
    return SourceLedger(
        source=source,
        time=time,
        acknowledges=True,
        produced=12 + unexplained,
        received=10,
        stored=9,
        repeated=3,
        refused=0,
        quarantined=0,
        waiting=3,
        lost=0,
        unexplained=unexplained,
        machines=[MachineLedger(asset="cnc-01", messages=9, samples=90)],
        losses=[Loss(source="cnc-01", reason="overflow", outcome="lost", entries=1, count=4)],
        entries=[Entry(id=1, source="cnc-01", reason="overflow", count=4, start_ns=NOON_NS, end_ns=NOON_NS + 1)],
    )


def test_what_was_told_is_served(parts: Parts, viewer: TestClient) -> None:
    with parts.sessions.begin() as db:
        keep(db, read_ledger(told(time=NOON_MS - 1).model_dump_json().encode()))
        keep(db, read_ledger(told(unexplained=2).model_dump_json().encode()))
        keep(db, told("plant/press"))
        keep(db, told(time=NOON_MS - 5000))
    answer = viewer.get("/api/v1/ledger").json()
    assert (answer["unexplained"], [s["source"] for s in answer["sources"]]) == (
        2,
        ["demo:shanghai:machining/line1", "plant/press"],
    )
    source = answer["sources"][0]
    assert (source["told"], source["produced"], source["waiting"]) == ("2026-11-23T08:00:00.000000000Z", 14, 3)
    assert source["entries"] == [
        {
            "source": "cnc-01",
            "reason": "overflow",
            "outcome": "lost",
            "count": 4,
            "first": None,
            "last": None,
            "start": "2026-11-23T08:00:00.000000000Z",
            "end": "2026-11-23T08:00:00.000000001Z",
            "detail": "",
        }
    ]
    only = viewer.get("/api/v1/ledger?source=plant/press").json()
    assert (only["unexplained"], len(only["sources"])) == (0, 1)


def test_that_nobody_knows_how_much_more_is_lost_is_said_of_a_source(parts: Parts, viewer: TestClient) -> None:
    unknown = Loss(source="", reason="gateway_away", outcome="lost", entries=1, count=0)
    noted = Loss(source="", reason="offline", outcome="noted", entries=1, count=0)
    # of losses that are summed up with others only the entry tells it
    among = Entry(id=2, source="", reason="sequence", count=0, start_ns=NOON_NS, end_ns=NOON_NS)
    with parts.sessions.begin() as db:
        for source, more in (
            ("a/a", {"losses": [unknown]}),
            ("b/b", {"losses": [noted]}),
            ("c/c", {"entries": [among]}),
        ):
            keep(db, told(source).model_copy(update=more))
    sources = viewer.get("/api/v1/ledger").json()["sources"]
    assert [source["lost_unknown"] for source in sources] == [True, False, True]


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"time": -1}', b"\xff"])
def test_what_is_no_ledger_is_refused(payload: bytes) -> None:
    with pytest.raises(LedgerError):
        read_ledger(payload)


def test_a_gateway_brings_it_and_what_is_none_is_refused(client: TestClient, viewer: TestClient) -> None:
    said = told(unexplained=1).model_dump(mode="json")
    assert [number for number, _ in bring(client, line("ledger", ledger={"time": 1}), line("ledger", ledger=said))] == [
        1
    ]
    assert viewer.get("/api/v1/ledger").json()["unexplained"] == 1
