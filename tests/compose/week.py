"""What a plant in containers lives through in a week. After each step it goes on, for whoever is logged in, too."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from images import run
from report import Failed, check, say, until
from stack import MACHINES, Stack

SLOW_S = 75
"""Longer than health checks count in all, without a time to start in."""
UP = "docker compose up -d"
LOGIN = "docker compose exec cloud shopfloor login"
REPORT = (
    "docker compose exec gateway python -c \"import httpx2; print(httpx2.get('http://127.0.0.1:8082/health').text)\""
)


def week(stack: Stack, joining: str, stores: dict[str, str]) -> None:
    """Live through it; `stores` are the volumes of the stores by their service."""
    stack.enter(stack.documented(LOGIN).strip())  # a password is there already: the link replaces it
    up_again(stack)
    another_file(stack, joining)
    port_taken(stack)
    secrets_lost(stack, "ca", "broker", "gateway", "edge-machining", "cloud")
    if stores:
        # the database keeps its password inside, and takes the new one when it starts
        secrets_lost(stack, "postgres", "cloud", "grafana")
        slow_stores(stack, list(stores))
        samples_lost(stack, stores["influxdb"])
    reboot(stack)


def up_again(stack: Stack) -> None:
    """`up` once more makes nothing anew."""
    before = stack.started()
    stack.documented(UP)
    stack.documented("docker compose up -d --no-build")
    check(stack.started() == before, f"up again started anew: {dict(stack.started().items() - before.items())}")
    stack.healthy()
    stack.goes_on_for_a_person()
    check("cloud" in stack.documented("docker compose ps"), "ps shows no cloud")
    check(
        "the cloud serves" in stack.documented("docker compose logs cloud"),
        "the cloud's log does not say that it serves",
    )
    report = stack.documented(REPORT)
    check(json.loads(report)["status"] == "ok", f"the gateway reports {report}")
    say("up, once more: nothing is made anew, the login holds")


def another_file(stack: Stack, joining: str) -> None:
    """A file joins a plant that runs, and goes again."""
    started = time.monotonic()
    more = stack.with_files(joining, SHOPFLOOR_PUBLIC_URL=f"http://localhost:{stack.port}")
    more.compose("up", "-d")
    if "grafana" in joining:
        more.healthy()  # it has read its token and asked the store with it
    stack.goes_on_for_a_person()
    if "grafana" in joining:
        password = more.documented("docker compose exec grafana cat /run/secrets-of-grafana/password")
        check(len(password.strip()) > 20, "Grafana has no password")
        more.documented("docker compose restart grafana")
    stack.compose("up", "-d", "--remove-orphans")
    stack.goes_on_for_a_person()
    say(f"{joining} has joined and gone, {time.monotonic() - started:.1f} s in all")


def port_taken(stack: Stack) -> None:
    """`down`; then another program has the port. When it has gone, `up` goes on where it was."""
    end = datetime.now(UTC)
    begin = end - timedelta(seconds=20)
    numbers = stack.sequence("cnc-01", begin, end)
    stack.documented("docker compose down")
    check(not stack.containers(), f"after down there is {stack.containers()}")
    with socket.create_server(("127.0.0.1", stack.port)):
        try:
            stack.compose("up", "-d")
        except Failed as error:
            check(f":{stack.port}" in str(error), f"up with a port that is taken says {error}")
        else:
            raise Failed("up with a port that is taken says nothing")
    started = time.monotonic()
    stack.documented(UP)
    stack.documented(LOGIN)
    stack.log_in()
    stack.goes_on_for_a_person()
    stack.healthy()
    kept = stack.sequence("cnc-01", begin, end)
    check(numbers and set(numbers) <= set(kept), f"of {len(numbers)} messages {len(kept)} are left")
    say(f"down, a port that is taken, up: all is there and goes on, healthy after {time.monotonic() - started:.1f} s")


def secrets_lost(stack: Stack, *lost: str) -> None:
    """Secrets that are lost are made anew, and everybody has them."""
    stack.compose("down")
    for name in lost:
        stack.lose(f"secrets-{name}")
    stack.documented(UP)
    stack.documented(LOGIN)
    stack.log_in()
    stack.goes_on_for_a_person()
    say(f"lost the secrets of {', '.join(lost)}: made anew, all goes on")


def slow_stores(stack: Stack, stores: list[str]) -> None:
    """Stores that are slow to start: others wait for them, and nothing fails meanwhile."""
    stack.compose("down")
    services = {store: slowly(stack.image(store)) for store in stores}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "slow.yml"
        file.write_text(yaml.safe_dump({"services": services}))
        began = time.monotonic()
        slow = stack.with_files(str(file))
        slow.documented(UP)
        slow.documented(LOGIN)
        slow.log_in_with_password()
        healthy_s = slow.healthy() + time.monotonic() - began
    check(healthy_s > SLOW_S, f"the stores were not slow: healthy after {healthy_s:.0f} s")
    stack.goes_on_for_a_person()
    stack.documented("docker compose logs postgres")
    check("the store is set up" in stack.documented("docker compose logs store-setup"), "the store is not set up")
    for service, container in stack.served().items():
        restarts = int(run("docker", "inspect", "-f", "{{.RestartCount}}", container))
        check(not restarts, f"{service} was started {restarts + 1} times: {stack.log(service)[-800:]}")
    say(f"{', '.join(stores)} took {SLOW_S} s to start: all waited, nothing failed, healthy after {healthy_s:.0f} s")


def slowly(image: str) -> dict[str, list[str]]:
    """Return entry point and command of an image, behind a wait."""
    config = json.loads(run("docker", "inspect", "-f", "{{json .Config}}", image))
    wait = ["sh", "-c", f'sleep {SLOW_S}; exec "$$@"', "sh"]
    return {"entrypoint": [*wait, *config["Entrypoint"]], "command": config.get("Cmd") or []}


def samples_lost(stack: Stack, volume: str) -> None:
    """The volume of all samples is lost, then everything is: it works again at once, and a backup brings it back."""
    end = datetime.now(UTC)
    begin = end - timedelta(seconds=20)
    numbers = set(stack.sequence("cnc-01", begin, end))

    def back(what: str) -> None:
        kept = set(stack.sequence("cnc-01", begin, end))
        check(numbers and numbers <= kept, f"{what}: of {len(numbers)} messages {len(numbers & kept)} came back")
        stack.log_in_with_password()
        stack.goes_on_for_a_person()

    with TemporaryDirectory() as folder:
        inside = stack.inside(Path(folder))
        inside.documented("docker compose run --rm -T tools shopfloor backup - > plant.backup")
        stack.compose("down")
        stack.lose(volume)
        stack.documented(UP)
        stack.documented(LOGIN)
        stack.goes_on_for_a_person()
        check(not numbers & set(stack.sequence("cnc-01", begin, end)), "messages are there without their volume")
        inside.documented("docker compose run --rm -T tools shopfloor restore --force - < plant.backup")
        back(volume)
        say(f"{volume} was lost: works again at once, and its samples came back from the backup")
        stack.documented("docker compose down -v")
        stack.documented(UP)
        check("/login#" in stack.documented(LOGIN), "a new plant has no first login")
        stack.log_in()
        stack.goes_on(MACHINES)
        check(not numbers & set(stack.sequence("cnc-01", begin, end)), "down -v does not forget everything")
        inside.documented("docker compose run --rm -T tools shopfloor restore - < plant.backup")
        back("a new plant")
        say("a new plant: it has the users and samples of the backup")


def engine_answers() -> bool:
    return run("docker", "version", "-f", "{{.Server.Version}}", check=False)[:1].isdigit()


def reboot(stack: Stack) -> None:
    """Everything ends at once, and comes back without Compose: in any order, each by its restart policy."""
    before = stack.started()
    began = time.monotonic()
    if command := os.environ.get("SHOPFLOOR_RESTART_ENGINE"):
        run(*shlex.split(command))
        until("the engine", engine_answers, 60)
        how = command
    elif os.geteuid() == 0:
        for pid in [stack.state(container)["Pid"] for container, _ in before.values()]:
            os.kill(pid, signal.SIGKILL)
        how = "all processes killed at once"
    else:
        containers = [container for container, _ in sorted(before.values())]
        run("docker", "kill", *containers)
        run("docker", "start", *containers)
        how = "all containers killed, and started in no order"
    for service, (container, started) in before.items():
        until(f"{service} again", lambda c=container, s=started: stack.state(c)["StartedAt"] != s, 60, 0.2)
    stack.goes_on(MACHINES, 180)
    going_s = time.monotonic() - began
    stack.healthy()
    stack.goes_on_for_a_person()
    say(
        f"reboot ({how}): samples of all machines after {going_s:.1f} s, healthy after {time.monotonic() - began:.1f} s"
    )
