"""Bodies of writes: how they are unpacked and taken in pieces, and that a long one does not stop the others."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from cloud.parts import Parts
from cloud.problems import Problem
from cloud.telemetry.body import MAX_LINES, MAX_MEMBERS, PIECE, WHOLE, pieces, whole
from cloud.telemetry.store import Query

T = 1_795_420_800_000_000_000
HEAD = "cnc,site=shanghai,area=machining,line=line1,asset=cnc-01"
GZIP = {"Content-Encoding": "gzip"}
Post = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture
def database_url() -> str:
    return ""


@pytest.fixture
def post(client: TestClient, parts: Parts) -> Post:
    def post(body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
        sent = {"Authorization": f"Token {parts.store_token}", **headers}
        answer = client.post("/api/v2/write", content=body, headers=sent)
        return answer.status_code, answer.json() if answer.content else {}

    return post


def lines(count: int, first: int = 0) -> bytes:
    return "".join(f"{HEAD} feed={n} {T + n}\n" for n in range(first, first + count)).encode()


def stored(parts: Parts) -> int:
    return sum(len(batch) for batch in parts.store.export(Query("cnc-01", ("feed",), 0, 2**62)))


@pytest.mark.parametrize("members", [1, 2, 50])
def test_all_members_of_a_gzip_body_are_stored(post: Post, parts: Parts, members: int) -> None:
    body = b"".join(gzip.compress(lines(10, 10 * n)) for n in range(members))
    assert post(body, **GZIP)[0] == 204
    assert stored(parts) == 10 * members


@pytest.mark.parametrize(
    "spoil",
    [lambda body: body[:-5], lambda body: body + b"rubbish", lambda body: body[:-8] + bytes(8)],
    ids=["cut off", "rubbish behind", "wrong checksum"],
)
def test_a_damaged_member_refuses_the_whole_body(post: Post, parts: Parts, spoil: Callable[[bytes], bytes]) -> None:
    body = gzip.compress(lines(10)) + gzip.compress(lines(10, 10))
    assert post(spoil(body), **GZIP)[0] == 400
    assert stored(parts) == 0


def test_a_body_that_grows_beyond_measure_is_refused_before_anything_is_stored(post: Post, parts: Parts) -> None:
    bomb = gzip.compress(lines(1000)) + gzip.compress((b"#" * 1023 + b"\n") * 1024, 9) * (MAX_LINES // 2**20)
    status, problem = post(bomb, **GZIP)
    assert (status, problem["code"]) == (413, "request too large")
    assert stored(parts) == 0


def test_a_body_of_very_many_members_is_refused_at_once(post: Post, parts: Parts) -> None:
    status, problem = post(gzip.compress(lines(10)) + gzip.compress(b"") * MAX_MEMBERS, **GZIP)
    assert (status, problem["code"]) == (413, "request too large")
    assert "members" in str(problem["detail"])
    assert stored(parts) == 0


def test_a_long_body_is_stored_in_pieces_and_its_bad_line_has_its_own_number(post: Post, parts: Parts) -> None:
    good = lines(WHOLE // 70 + 1)
    assert len(good) > WHOLE
    assert post(gzip.compress(good), **GZIP)[0] == 204
    count = good.count(b"\n")
    assert stored(parts) == count
    status, problem = post(gzip.compress(good + b"cnc,asset=a feed=x 1\n"), **GZIP)
    assert (status, problem["line"]) == (400, count + 1)
    assert str(problem["detail"]).startswith(f"line {count + 1}: ")
    assert stored(parts) == count


def test_a_short_body_is_stored_whole_or_not_at_all(post: Post, parts: Parts) -> None:
    body = lines(PIECE // 50)
    assert PIECE < len(body) < WHOLE
    assert post(body + b"cnc,asset=a feed=x 1")[0] == 400
    assert stored(parts) == 0


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_pieces_are_whole_lines_and_lose_nothing(*, is_gzip: bool, end: bytes) -> None:
    chance = random.Random(1)
    body = b"\n".join(b"x" * chance.randrange(100_000) for _ in range(200)) + end
    found = list(pieces(gzip.compress(body) if is_gzip else body, is_gzip=is_gzip))
    assert b"".join(found) == body
    assert all(piece.endswith(b"\n") for piece in found[:-1])
    assert max(map(len, found)) <= PIECE + 100_000
    assert whole(body[:WHOLE], is_gzip=False) == body[:WHOLE]
    assert whole(gzip.compress(body[: WHOLE + 1]), is_gzip=True) is None


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        list(pieces(gzip.compress(b"x" * (4 * WHOLE)), is_gzip=True))
    assert refused.value.status == 413
