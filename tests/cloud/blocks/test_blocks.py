"""Blocks: numbers as they came, in a folder that rolls; what is evidence or kept stays."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from cloud.auth.rights import Role
from cloud.blocks.blocks import Blocks
from cloud.parts import Parts
from tests.cloud.chain.bring import NOON_NS, block, bring, event

MIB = 1 << 20
QUARTER = [0.0] * (MIB // 16)  # 256 KiB of float32


@pytest.fixture
def small(parts: Parts) -> Parts:
    """A cloud with room for four blocks of QUARTER."""
    parts.blocks._most_bytes = MIB
    return parts


def ids(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/api/v1/blocks?{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["blocks"]]


def files(parts: Parts) -> list[str]:
    return sorted(path.stem for path in parts.blocks.folder.iterdir())


def test_a_block_is_told_as_numbers_arrow_and_spectrum(client: TestClient, viewer: TestClient) -> None:
    wave = [round(1000 * math.sin(2 * math.pi * 8 * i / 64)) for i in range(64)]
    assert bring(client, block("b1", wave, number="int16", scale=0.001, reason="request")) == []
    told = viewer.get("/api/v1/blocks/b1").json()
    assert told["values"] == [n * 0.001 for n in wave]
    assert (told["unit"], told["rate_hz"], told["count"], told["reason"]) == ("m/s2", 1000.0, 64, "request")
    assert (told["start"], told["end"]) == ("2026-11-23T08:00:00.000000000Z", "2026-11-23T08:00:00.064000000Z")
    table = pa.ipc.open_stream(viewer.get("/api/v1/blocks/b1?as=arrow").content).read_all()
    assert table["value"].to_pylist() == told["values"]
    assert b'"sensor":"vibration"' in table.schema.metadata[b"block"]
    spectrum = viewer.get("/api/v1/blocks/b1?as=spectrum").json()
    assert (spectrum["used"], spectrum["step_hz"], spectrum["unit"]) == (64, 15.625, "m/s2")
    assert spectrum["amplitude"][8] == pytest.approx(1.0, abs=0.001)
    assert viewer.get("/api/v1/blocks/b2").json()["code"] == "unknown_block"


def test_blocks_are_found_by_what_is_asked(client: TestClient, viewer: TestClient) -> None:
    bring(client, *(block(f"b{n}", [1.0], n) for n in range(5)), block("other", [1.0], 9, asset="cnc-02", sensor="x"))
    assert ids(viewer) == ["other", "b4", "b3", "b2", "b1", "b0"]
    assert ids(viewer, "asset=cnc-01&start=2026-11-23T08:00:01Z&end=2026-11-23T08:00:03Z") == ["b2", "b1"]
    assert ids(viewer, "sensor=x") == ["other"]
    page = viewer.get("/api/v1/blocks?limit=4").json()
    assert ids(viewer, f"limit=4&after={page['after']}") == ["b1", "b0"]
    assert viewer.get("/api/v1/blocks?after=x").status_code == 422


def test_what_is_no_block_is_refused(client: TestClient, viewer: TestClient) -> None:
    good = block("b1", [1.0, 2.0])
    short = good | {"data": good["data"][:8]}
    odd = good | {"data": "§"}
    rateless = good | {"header": good["header"] | {"rate_hz": 0}}
    foreign = good | {"asset": "cnc-02"}
    refused = bring(client, short, odd, rateless, foreign, good, block("b1", [3.0], asset="cnc-02"))
    assert [number for number, _ in refused] == [1, 2, 3, 4, 6]
    assert viewer.get("/api/v1/blocks/b1").json()["values"] == [1.0, 2.0]


def test_the_oldest_make_room_but_not_evidence_nor_what_is_kept(
    client: TestClient, visit: Callable[[Role], TestClient], viewer: TestClient, small: Parts
) -> None:
    engineer = visit(Role.ENGINEER)
    evidence = [{"block": "seen", "start_ns": NOON_NS, "end_ns": NOON_NS}]
    bring(client, event("e1", evidence=evidence))  # it may come before its block
    for name in ("kept", "seen", "old", "b1"):
        assert bring(client, block(name, QUARTER)) == []
    assert engineer.post("/api/v1/blocks/kept/keep").status_code == 204
    assert viewer.post("/api/v1/blocks/kept/keep").status_code == 403
    for name in ("b2", "b3"):
        assert bring(client, block(name, QUARTER)) == []
    assert sorted(ids(viewer)) == files(small) == ["b2", "b3", "kept", "seen"]
    told = {each["id"]: (each["kept"], each["evidence"]) for each in viewer.get("/api/v1/blocks").json()["blocks"]}
    assert told == {"b2": (False, False), "b3": (False, False), "kept": (True, False), "seen": (False, True)}
    # half of the room can be kept, no more
    assert engineer.post("/api/v1/blocks/b2/keep").status_code == 204
    assert engineer.post("/api/v1/blocks/b3/keep").json()["code"] == "too_much_kept"
    bring(client, block("b4", QUARTER), block("b5", QUARTER))
    # what an event stands on stayed longest, and goes only when nothing else can
    assert sorted(ids(viewer)) == files(small) == ["b2", "b5", "kept", "seen"]
    assert engineer.delete("/api/v1/blocks/kept/keep").status_code == 204
    bring(client, block("b6", QUARTER))
    assert sorted(ids(viewer)) == ["b2", "b5", "b6", "seen"]  # the oldest without a reason to stay


def test_a_block_that_was_not_committed_leaves_no_row_and_in_time_no_file(parts: Parts) -> None:
    orphans = [parts.blocks.folder / name for name in ("young.block", "old.block", "old.part")]
    for path in orphans:
        path.write_bytes(b"")
    for path in orphans[1:]:
        os.utime(path, (time.time() - 7200,) * 2)
    with parts.sessions() as db:
        Blocks(parts.blocks.folder, MIB).open(db, time.time())
    assert files(parts) == ["young"]
