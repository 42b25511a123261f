"""What the answers of a cloud mean, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cloud import HttpCloud, Receipt
from tests.gateway.cloud_server import TOKEN, FakeCloud


@pytest.fixture
def server() -> Iterator[FakeCloud]:
    server = FakeCloud()
    yield server
    server.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "cloud-token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def cloud(server: FakeCloud, token: Path) -> Iterator[HttpCloud]:
    cloud = HttpCloud(server.url, token_file=token, timeout_s=0.5)
    yield cloud
    cloud.close()


def test_lines_go_as_they_are_and_what_is_refused_is_told(cloud: HttpCloud, server: FakeCloud) -> None:
    assert cloud.post([b"{}", b"[1]"]) == Receipt("taken")
    assert server.lines == [b"{}", b"[1]"]
    server.plan.append((200, b'{"refused": [{"line": 2, "reason": "no"}]}', {}))
    assert cloud.post([b"{}", b"[1]"]) == Receipt("taken", {1: "no"})


@pytest.mark.parametrize(
    ("answer", "outcome", "says"),
    [
        ((200, b"<html>", {}), "unavailable", "SHOPFLOOR_CLOUD_URL"),
        ((200, b'{"refused": [{"line": "x"}]}', {}), "unavailable", "SHOPFLOOR_CLOUD_URL"),
        ((400, b"odd", {}), "rejected", "odd"),
        ((413, b"", {}), "rejected", "413"),
        ((422, b"", {}), "rejected", "422"),
        ((401, b"", {}), "unauthorized", "SHOPFLOOR_CLOUD_TOKEN_FILE"),
        ((404, b"", {}), "unavailable", "SHOPFLOOR_CLOUD_URL"),
        ((500, b"x" * 10_000, {}), "failed", "500"),
        ((503, b"", {"Retry-After": "7"}), "unavailable", "503"),
    ],
)
def test_an_answer_says_what_to_do(
    cloud: HttpCloud, server: FakeCloud, answer: tuple[int, bytes, dict[str, str]], outcome: str, says: str
) -> None:
    server.plan.append(answer)
    receipt = cloud.post([b"{}"])
    assert (receipt.outcome, receipt.refused) == (outcome, {})
    assert says in receipt.detail
    assert len(receipt.detail) < 1000
    assert receipt.retry_after_s == (7.0 if "Retry-After" in answer[2] else 0.0)
    assert cloud.post([b"{}"]) == Receipt("taken")


def test_a_cloud_that_is_slow_or_away_or_whose_token_is_missing(
    cloud: HttpCloud, server: FakeCloud, token: Path
) -> None:
    server.delay_s = 1.0
    late = cloud.post([b"{}"])
    assert ("did not answer in time" in late.detail, late.is_late) == (True, True)
    token.write_text("another one, after a change")
    server.delay_s = 0.0
    assert cloud.post([b"{}"]).outcome == "unauthorized"
    token.unlink()
    assert "SHOPFLOOR_CLOUD_TOKEN_FILE" in cloud.post([b"{}"]).detail
    away = HttpCloud("http://127.0.0.1:1", token_file=None)
    assert "start the cloud" in away.post([b"{}"]).detail
    away.close()
