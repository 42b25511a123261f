"""What each answer of a store means; on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import HttpStore
from tests.gateway.wire import FakeStore

LINE = b"cnc,asset=a x=1.5 1700000000000000000"


@pytest.fixture
def store(fake_store: FakeStore, token_file: Path) -> Iterator[HttpStore]:
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=token_file)
    yield store
    store.close()


def test_lines_arrive_compressed_with_token_and_bucket(store: HttpStore, fake_store: FakeStore) -> None:
    assert store.write(LINE + b"\n" + LINE).outcome == "written"
    assert fake_store.lines == [LINE.decode()] * 2
    assert fake_store.requests[0][2] == "/api/v2/write?org=o&bucket=b&precision=ns"


def test_one_connection_carries_every_write(store: HttpStore, fake_store: FakeStore) -> None:
    assert [store.write(LINE).outcome for _ in range(3)] == ["written"] * 3
    assert fake_store.connections == 1


@pytest.mark.parametrize(
    ("status", "outcome", "hint"),
    [
        (400, "rejected", "as the test said"),
        (413, "rejected", "413"),
        (422, "rejected", "422"),
        (401, "unauthorized", "SHOPFLOOR_STORE_TOKEN_FILE"),
        (403, "unauthorized", "SHOPFLOOR_STORE_TOKEN_FILE"),
        (404, "unavailable", "SHOPFLOOR_STORE_URL"),
        (500, "unavailable", "as the test said"),
        (200, "unavailable", "200"),
    ],
)
def test_an_answer_is_one_of_four(
    store: HttpStore, fake_store: FakeStore, status: int, outcome: str, hint: str
) -> None:
    fake_store.plan.append(status)
    answer = store.write(LINE)
    assert answer.outcome == outcome
    assert hint in answer.detail


def test_a_store_that_asks_for_patience_is_given_it(store: HttpStore, fake_store: FakeStore) -> None:
    fake_store.plan.append(429)
    assert store.write(LINE).retry_after_s == 7.0


def test_no_answer_in_time(store: HttpStore, fake_store: FakeStore, token_file: Path) -> None:
    fake_store.plan.append("hang")
    impatient = HttpStore(fake_store.url, org="o", bucket="b", token_file=token_file, timeout_s=0.3)
    answer = impatient.write(LINE)
    impatient.close()
    assert answer.outcome == "unavailable"
    assert "in time" in answer.detail
    assert store.write(LINE).outcome == "written"


def test_nobody_listens(token_file: Path) -> None:
    store = HttpStore("http://127.0.0.1:1", org="o", bucket="b", token_file=token_file)
    answer = store.write(LINE)
    assert answer.outcome == "unavailable"
    assert "SHOPFLOOR_STORE_URL" in answer.detail
    store.close()


def test_a_missing_token_file_says_what_to_do(fake_store: FakeStore, tmp_path: Path) -> None:
    store = HttpStore(fake_store.url, org="o", bucket="b", token_file=tmp_path / "absent")
    answer = store.write(LINE)
    assert answer.outcome == "unauthorized"
    assert "absent" in answer.detail
    assert fake_store.requests == []
    store.close()


def test_a_new_token_counts_at_once(store: HttpStore, token_file: Path) -> None:
    good = token_file.read_text()
    token_file.write_text("old")
    assert store.write(LINE).outcome == "unauthorized"
    token_file.write_text(good)
    assert store.write(LINE).outcome == "written"
