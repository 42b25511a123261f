"""Who guesses passwords is slowed, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from cloud.auth.device import Devices
from cloud.auth.limiter import OF_ADDRESS, OF_PAIR, FailureLimiter, network_of
from cloud.deps import get_now
from cloud.parts import Parts

PASSWORD = "correct horse"


@pytest.fixture
def app(client: TestClient, admin: TestClient) -> object:
    """A cloud with the users li.wei and zhang."""
    for username in ("li.wei", "zhang"):
        body = {"username": username, "role": "operator", "password": PASSWORD}
        assert admin.post("/api/v1/users", json=body).status_code == 201
    now = get_now_at(datetime.now(UTC))
    client.app.dependency_overrides[get_now] = now  # type: ignore[attr-defined]
    return client.app


def get_now_at(now: datetime) -> Callable[[], datetime]:
    """A clock that stands: however slow the machine is, all attempts come at once."""
    return lambda: now


def browser(app: object, address: str) -> TestClient:
    return TestClient(app, base_url="http://testserver", client=(address, 40_000))  # type: ignore[arg-type]


def log_in(browser: TestClient, username: str = "li.wei", password: str = PASSWORD) -> int:
    return browser.post("/api/v1/auth/login", json={"username": username, "password": password}).status_code


def guess(browser: TestClient, times: int, username: str = "li.wei") -> list[int]:
    return [log_in(browser, username, "wrong horse") for _ in range(times)]


def test_guesses_from_one_address_are_slowed_and_keep_nobody_else_out(app: object) -> None:
    attacker = browser(app, "10.0.0.1")
    assert guess(attacker, 6) == [401] * 5 + [429]
    answer = attacker.post("/api/v1/auth/login", json={"username": "li.wei", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_failures")
    assert answer.headers["retry-after"] == str(answer.json()["args"]["wait_s"]) == "5"
    assert "`shopfloor login`" in answer.json()["todo"]
    # the owner of the name elsewhere, and others behind the attacker's own address
    assert log_in(browser(app, "10.0.0.2")) == 200
    assert log_in(attacker, "zhang") == 200


def test_a_browser_in_which_somebody_has_logged_in_counts_by_itself(app: object) -> None:
    mine = browser(app, "10.0.0.1")
    assert log_in(mine) == 200
    mine.post("/api/v1/auth/logout")
    stranger = browser(app, "10.0.0.1")
    guess(stranger, 6)
    assert log_in(stranger) == 429
    assert log_in(mine) == 200
    # the mark is of one user, and it is slowed, too
    assert guess(mine, 6) == [401] * 5 + [429]
    assert guess(mine, 1, "zhang") == [401]


@pytest.mark.parametrize("mark", ["", ".", "x.y", "00." + "0" * 64, "é.\xff"])
def test_a_mark_that_nobody_gave_counts_for_nothing(app: object, mark: str) -> None:
    stranger = browser(app, "10.0.0.1")
    body = {"username": "li.wei", "password": "wrong horse"}
    headers = {b"cookie": f"shopfloor_8080_device={mark}".encode("latin-1")}
    answers = [stranger.post("/api/v1/auth/login", json=body, headers=headers).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_a_mark_outlives_a_restart_and_is_of_one_user_in_one_plant() -> None:
    mark = Devices("a secret").mark("li.wei")
    assert Devices("a secret").number(mark, "li.wei") == mark.partition(".")[0]
    assert Devices("a secret").number(mark, "zhang") is None
    assert Devices("of another plant").number(mark, "li.wei") is None
    assert Devices().number(mark, "li.wei") is None
    assert Devices().number(Devices().mark("li.wei"), "li.wei") is None


def test_what_is_refused_or_checks_no_password_needs_no_place_where_one_is_checked(app: object, parts: Parts) -> None:
    attacker, logins = browser(app, "10.0.0.1"), parts.places.logins
    assert guess(attacker, 5) == [401] * 5
    logins._free = 0  # as if a crowd had all of them
    assert log_in(attacker) == 429
    assert attacker.post("/api/v1/auth/link", json={"token": "x"}).status_code == 401


def test_an_attempt_that_had_no_place_does_not_count(app: object, parts: Parts) -> None:
    mine, logins = browser(app, "10.0.0.1"), parts.places.logins
    logins._free, logins._wait_s = 0, 0.01
    assert guess(mine, 6) == [503] * 6
    logins._free = 1
    assert log_in(mine) == 200


def test_many_names_from_one_address_are_slowed_together(app: object) -> None:
    spraying = FailureLimiter()
    refused = [
        spraying.attempt([(("10.0.0.1", name), OF_PAIR), ("10.0.0.1", OF_ADDRESS)], 0.0) > 0 for name in range(60)
    ]
    assert refused == [False] * 50 + [True] * 10


def test_waits_double_have_an_end_and_are_forgotten() -> None:
    limiter = FailureLimiter()
    now, waits = 0.0, []
    for _ in range(16):
        assert limiter.attempt([("a", OF_PAIR)], now) == 0
        wait_s = limiter.attempt([("a", OF_PAIR)], now)
        waits.append(wait_s if wait_s else 0.0)
        if not wait_s:  # that was an attempt, too
            continue
        now += wait_s
    assert waits[-1] == OF_PAIR.longest_s
    assert [wait_s for wait_s in waits if wait_s][:6] == [5, 10, 20, 40, 60, 60]
    assert limiter.attempt([("a", OF_PAIR)], now + OF_PAIR.forget_s) == 0
    assert limiter.attempt([("a", OF_PAIR)], now + OF_PAIR.forget_s) == 0


def test_a_success_forgets_its_own_failures_and_one_of_the_address() -> None:
    limiter = FailureLimiter()
    for _ in range(OF_ADDRESS.free):
        assert limiter.attempt([("a", OF_ADDRESS)], 0.0) == 0
    assert limiter.attempt([("a", OF_ADDRESS)], 0.0) > 0
    limiter.succeeded("pair", shared="a")
    assert limiter.attempt([("a", OF_ADDRESS)], 0.0) == 0
    assert limiter.attempt([("a", OF_ADDRESS)], 0.0) > 0


def test_memory_is_bounded() -> None:
    limiter = FailureLimiter(keys=100)
    for number in range(1000):
        limiter.attempt([(number, OF_PAIR)], 0.0)
    assert len(limiter) == 100


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 300, "x" * 64),
    ],
)
def test_an_address_stands_for_whoever_has_it(address: str, network: str) -> None:
    assert network_of(address) == network
