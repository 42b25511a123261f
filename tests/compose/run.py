"""`make compose-test`: the plant in containers, from the build to the last volume. Prints times and sizes.

Options: names of variants (default, light, mosquitto); without one, the default variant in full and `light` in short.
SHOPFLOOR_OUTAGE_S (120): how long the store stands still. SHOPFLOOR_BASE_IMAGES: a command that makes base images
where none can be pulled. SHOPFLOOR_COMPOSE ("docker compose" or "docker-compose"): which of two that are installed.
SHOPFLOOR_RESTART_ENGINE: a command that restarts the Docker Engine; without one all processes are killed at once.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Sequence

from images import ROOT, compose_commands, engine, provide_images, run
from looks import confined, look, memory, silent
from outages import kill_each, outage
from own_machines import own_machines
from report import Failed, Unable, check, passed, say, until
from stack import MACHINES, Stack
from week import week

FIRST_SAMPLE_S = 60
OVERRIDES = {"default": [], "light": ["deploy/light.yml"], "mosquitto": ["deploy/mosquitto.yml"]}
JOINING = {"default": "deploy/grafana.yml", "light": "deploy/proxy.yml", "mosquitto": "deploy/proxy.yml"}
"""What joins the plant while it runs."""
STORES = {"influxdb": "influxdb-data", "postgres": "postgres-data"}


def check_files(composes: Sequence[Sequence[str]]) -> None:
    """All files are clean, to every Compose that is here."""
    for compose in composes:
        for override in ("light", "plc", "mosquitto", "grafana", "scale", "proxy"):
            files = ["-f", "docker-compose.yml", "-f", f"deploy/{override}.yml"]
            said = run(*compose, *files, "config", "-q", check=False, SHOPFLOOR_PUBLIC_URL="https://plant.example")
            check(not said.strip(), f"{' '.join(compose)} config with {override}: {said}")
        check(not run(*compose, "config", "-q", check=False).strip(), f"{' '.join(compose)} config is not clean")
    say(f"files are clean to {', '.join(' '.join(each) for each in composes)}")


def build(stack: Stack) -> None:
    needed = {name for name in stack.images() if not name.startswith("shopfloor")}
    stages = re.findall(r"^ARG \w+_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for line in provide_images([*stages, *sorted(needed)]):
        say(line)
    started = time.monotonic()
    stack.documented("docker compose build")
    say(f"image built in {time.monotonic() - started:.0f} s")
    for line in run("docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines():
        name, _, size = line.partition(" ")
        if name in needed or name.startswith("shopfloor-"):
            say(f"  image {name}: {size}")


def start(stack: Stack, variant: str) -> tuple[float, str]:
    """Do what the page says until all machines are heard and all is healthy.

    Return after how many seconds the first sample came, and the first login link.
    """
    started = time.monotonic()
    stack.documented("docker compose up -d")
    say(f"up returned after {time.monotonic() - started:.1f} s")
    link = stack.documented("docker compose exec cloud shopfloor login").strip()
    check("/login#" in link, f"the first login is {link!r}")
    say(f"login link after {time.monotonic() - started:.1f} s")
    stack.log_in()
    until("the first sample", stack.last_times, 120, 0.2)
    first_s = time.monotonic() - started
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    say(f"first sample after {first_s:.1f} s (wanted: {FIRST_SAMPLE_S} s; load for each core: {load:.1f})")
    until(
        f"samples of {MACHINES}, not only of {stack.machines()}", lambda: set(MACHINES) <= set(stack.last_times()), 60
    )
    say(f"samples of all machines after {time.monotonic() - started:.1f} s")
    stack.healthy()
    say(f"all healthy after {time.monotonic() - started:.1f} s ({variant} variant)")
    check(stack.machines() == MACHINES, f"the API knows {stack.machines()}")
    return first_s, link


def whole_test(name: str, compose: Sequence[str], *, short: bool) -> None:
    began = time.monotonic()
    say(f"--- {name} variant, {' '.join(compose)}")
    stack = Stack(compose, OVERRIDES[name])
    # with the images of what joins later
    build(stack.with_files(JOINING[name], SHOPFLOOR_PUBLIC_URL="https://plant.example"))
    try:
        first_s, link = start(stack, name)
        confined(stack)
        memory(stack)
        if not short:
            look(stack, link)
            outage(stack, "cloud" if name == "light" else "influxdb")
            kill_each(stack)
            week(stack, JOINING[name], {} if name == "light" else STORES)
            own_machines(stack)
        silent(stack)
        # last, so that a start that is slow hides nothing else
        check(first_s <= FIRST_SAMPLE_S, f"the first sample came after {first_s:.0f} s")
    except BaseException:
        for service, container in stack.containers().items():
            say(f"==== log of {service}\n{run('docker', 'logs', '--tail', '15', container, check=False)}")
        raise
    finally:
        ended = time.monotonic()
        stack.forget()
        say(f"down -v took {time.monotonic() - ended:.1f} s; the {name} variant {time.monotonic() - began:.0f} s")
    left = run("docker", "volume", "ls", "-q", "--filter", f"name={stack.project}")
    check(not left.strip() and not stack.containers(), f"left behind: {left} {stack.containers()}")


def both(compose: Sequence[str]) -> None:
    """Run the default variant, or say why it cannot run here; then the light one."""
    try:
        whole_test("default", compose, short=False)
    except Unable as error:
        say(f"the default variant was not run: {error}")
        whole_test("light", compose, short=False)
    else:
        whole_test("light", compose, short=True)


def main(variants: Sequence[str]) -> int:
    """Run the variants; return the exit code."""
    # ended from outside, it takes its containers with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compose-test was ended from outside"))
    try:
        say(f"Docker Engine {engine()}")
        composes = compose_commands()
        check_files(composes)
        if variants:
            for name in variants:
                whole_test(name, composes[0], short=False)
        else:
            both(composes[0])
    except Unable as error:
        say(f"compose-test was not run: {error}")
        return 0
    except Failed as error:
        say(f"FAILED: {error}")
        sys.stdout.write(f"{len(passed)} passed, 1 failed\n")
        return 1
    sys.stdout.write(f"{len(passed)} passed, 0 failed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
