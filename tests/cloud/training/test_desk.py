"""The fault desk: what a trainer does reaches simulated machines, and their truth comes back."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from cloud.app import create_app
from cloud.auth import accounts
from cloud.auth.rights import Role
from cloud.auth.scope import PLANT
from cloud.parts import Parts, build_parts, close_parts
from cloud.registry.learn import learn
from cloud.settings import Settings
from simulators import factory as factories
from simulators.factory import Factory
from tests.cloud.conftest import BASE, announcement, settings_in
from tests.control import controlled

Login = Callable[..., TestClient]
SCENARIOS = "/api/v1/training/scenarios"


@pytest.fixture(scope="module")
def factory() -> Factory:
    factory = factories.load(seed=5)
    for _ in range(50):
        factory.step(1.0)
    return factory


@pytest.fixture(scope="module")
def control(factory: Factory) -> Iterator[str]:
    """The control address of simulators."""
    with controlled(factory) as url:
        yield url


@pytest.fixture
def parts(tmp_path: Path, control: str) -> Iterator[Parts]:
    changes = {"trainer_url": control, "planted_fault": "cnc-01/spindle_bearing_outer"}
    parts = build_parts(settings_in(tmp_path).model_copy(update=changes))
    yield parts
    close_parts(parts)


@pytest.fixture
def login(parts: Parts) -> Login:
    """Return a browser that is logged in as a user of a role, at this cloud or at one with other settings."""

    def login(role: Role, scope: str = PLANT, **settings: str) -> TestClient:
        now = datetime.now(UTC)
        with parts.sessions.begin() as db:
            learn(db, announcement())
            user = accounts.add_user(db, f"{role.value}-{now.timestamp()}", role, now)
            user.scopes = [scope]
            cookie = accounts.start_login(db, user, now)
        changed = replace(parts, settings=parts.settings.model_copy(update=settings))
        app = create_app(changed.settings, changed)
        return TestClient(app, base_url=BASE, cookies={parts.settings.cookie: cookie})

    return login


@pytest.fixture
def trainer(login: Login) -> TestClient:
    return login(Role.TRAINER)


def so(client: TestClient, asset: str = "cnc-01") -> dict[str, Any]:
    machines = client.get("/api/v1/training/machines").raise_for_status().json()
    return next(each for each in machines if each["asset"] == asset)


def fault(client: TestClient, code: str) -> dict[str, Any]:
    return next(each for each in so(client)["faults"] if each["fault"] == code)


def test_a_fault_is_put_in_grows_to_its_limit_and_is_repaired(trainer: TestClient, factory: Factory) -> None:
    address = "/api/v1/training/assets/cnc-01/faults"
    wish = {"fault": "coolant_filter", "limit": 0.5, "growth_s": 10}
    assert fault(trainer, "coolant_filter")["since"] is None
    with capture_logs() as log:
        assert trainer.post(address, json=wish).status_code == 204
    assert {"event": "a fault was put in", "asset": "cnc-01", "fault": "coolant_filter"}.items() <= log[0].items()
    assert log[0]["by"].startswith("trainer")
    for _ in range(20):
        factory.step(1.0)
    grown = fault(trainer, "coolant_filter")
    assert (grown["severity"], grown["stage"]) == (0.5, "developing")
    age = datetime.now(UTC) - datetime.fromisoformat(grown["since"])
    assert timedelta(seconds=19) < age < timedelta(seconds=25)
    with capture_logs() as log:
        assert trainer.delete(address, params={"fault": "coolant_filter"}).status_code == 204
    assert log[0]["event"] == "a machine was repaired"
    assert fault(trainer, "coolant_filter")["stage"] == "none"


def test_sensors_and_links_are_broken_and_repaired_with_the_machine(trainer: TestClient) -> None:
    assets = "/api/v1/training/assets/cnc-01"
    lie = {"signal": "head_temperature", "mode": "drift", "size": 30}
    assert trainer.post(f"{assets}/sensor_faults", json=lie).status_code == 204
    assert trainer.post(f"{assets}/link_faults", json={"mode": "loss"}).status_code == 204
    assert trainer.post(f"{assets}/faults", json={"fault": "chip_jam"}).status_code == 204
    truth = so(trainer)
    assert [(each["signal"], each["mode"]) for each in truth["sensors"]] == [("head_temperature", "drift")]
    assert [each["mode"] for each in truth["links"]] == ["loss"]
    assert "head_temperature" in truth["signals"]
    assert "execution" not in truth["signals"]
    assert trainer.delete(f"{assets}/faults").status_code == 204
    truth = so(trainer)
    assert (truth["sensors"], truth["links"]) == ([], [])
    assert [each["fault"] for each in truth["faults"] if each["since"]] == []


def test_a_scenario_is_begun_and_ended(trainer: TestClient) -> None:
    assert trainer.post("/api/v1/training/scenarios/bearing").status_code == 204
    found = {each["scenario"]: each for each in trainer.get("/api/v1/training/scenarios").json()}
    assert found["bearing"]["running"]
    assert found["air_leak"]["lacks"] == ["compressor-01"]
    again = trainer.post("/api/v1/training/scenarios/bearing")
    assert (again.status_code, again.json()["code"]) == (409, "trainer_refused")
    assert trainer.delete("/api/v1/training/scenarios/bearing").status_code == 204


@pytest.mark.parametrize(
    "wish",
    [
        {"fault": "coolant_filter", "limit": 0},
        {"fault": "coolant_filter", "limit": 1.1},
        {"fault": "coolant_filter", "growth_s": -1},
        {"fault": "coolant_filter", "growth_s": 3e6},
        {"fault": "../command"},
        {"fault": "coolant_filter", "asset": "cnc-02"},
    ],
)
def test_a_wish_beyond_its_bounds_reaches_no_machine(
    trainer: TestClient, factory: Factory, wish: dict[str, Any]
) -> None:
    assert trainer.post("/api/v1/training/assets/cnc-01/faults", json=wish).status_code == 422
    assert factory.machines["cnc-01"].faults["coolant_filter"].onset_s is None


def test_no_address_of_the_simulators_but_those_of_faults_is_reached(trainer: TestClient) -> None:
    for asset in ("..", "../journal", "cnc-99", "cnc-01/../..", "%2e%2e"):
        answer = trainer.delete(f"/api/v1/training/assets/{asset}/faults")
        assert answer.status_code in (404, 405, 409), answer.text
    assert trainer.post("/api/v1/training/scenarios/..%2fcommand").status_code in (404, 405, 422)


def test_who_has_only_a_part_of_the_plant_sees_and_breaks_only_that(login: Login, parts: Parts) -> None:
    with parts.sessions.begin() as db:
        learn(db, announcement("cnc-02"))
        learn(db, announcement("robot-01", area="assembly"))
    client = login(Role.TRAINER, scope="asset:cnc-02")
    assert [each["asset"] for each in client.get("/api/v1/training/machines").json()] == ["cnc-02"]
    assert client.get("/api/v1/training").json() == {"trainer": True, "planted": None}
    assert client.post("/api/v1/training/assets/robot-01/faults", json={"fault": "vacuum_leak"}).status_code == 404


def test_who_has_only_a_part_of_the_plant_is_told_of_no_scenario_beyond_it(login: Login, parts: Parts) -> None:
    with parts.sessions.begin() as db:
        for asset in ("cnc-02", "robot-01"):
            learn(db, announcement(asset))
    whole = {each["scenario"]: each["assets"] for each in login(Role.TRAINER).get(f"{SCENARIOS}").json()}
    assert (whole["bearing"], whole["air_leak"]) == (["cnc-01"], ["compressor-01"])
    assert set(whole["rush_order"]) >= {"cnc-01", "robot-01"}
    client = login(Role.TRAINER, scope="asset:cnc-01")
    told = client.get(SCENARIOS)
    assert {each["scenario"] for each in told.json()} == {
        name for name, assets in whole.items() if assets == ["cnc-01"]
    }
    assert "robot-01" not in told.text
    for method in ("POST", "DELETE"):
        answer = client.request(method, f"{SCENARIOS}/rush_order")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_needed")
    assert client.post(f"{SCENARIOS}/bearing").status_code == 204
    assert client.delete(f"{SCENARIOS}/bearing").status_code == 204


def test_everybody_is_told_of_the_planted_fault_and_only_a_trainer_of_the_truth(login: Login) -> None:
    student = login(Role.STUDENT)
    planted = {"asset": "cnc-01", "fault": "spindle_bearing_outer"}
    assert student.get("/api/v1/training").json() == {"trainer": True, "planted": planted}
    assert student.get("/api/v1/training/machines").status_code == 403


def test_without_simulators_it_says_that_there_are_none(login: Login) -> None:
    client = login(Role.ADMIN, trainer_url="", planted_fault="")
    assert client.get("/api/v1/training").json() == {"trainer": False, "planted": None}
    for method, address in (("GET", "machines"), ("GET", "scenarios"), ("POST", "scenarios/bearing")):
        answer = client.request(method, f"/api/v1/training/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_trainer")


def test_simulators_that_are_away_are_said_to_be(login: Login) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    client = login(Role.TRAINER, trainer_url=url)
    answer = client.get("/api/v1/training/machines")
    assert (answer.status_code, answer.json()["code"]) == (503, "trainer_away")


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.5:8088",
        "https://127.0.0.1:8088",
        "http://127.0.0.1:8088/faults",
        "127.0.0.1:8088",
        "http://127.0.0.1:8088?x=",
        "http://127.0.0.1#",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:99999",
        "http://[::1]example.com",
        " http://127.0.0.1",
    ],
)
def test_only_this_machine_has_a_control_address(url: str) -> None:
    with pytest.raises(ValidationError, match="no http:// address of this machine"):
        Settings(trainer_url=url)


@pytest.mark.parametrize("asset", ["%2e", "%2e%2e", "no-machine"])
def test_an_asset_that_is_none_leads_to_no_other_address(login: Login, asset: str) -> None:
    answer = login(Role.TRAINER).delete(f"/api/v1/training/assets/{asset}/faults")
    assert answer.status_code in {404, 409}, answer.text
    assert "addresses" not in answer.text
