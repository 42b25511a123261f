"""`make compose-test`: the plant in containers, from the build to the last volume. Prints times and sizes.

Options: names of variants (default, light, mosquitto); without one, the default variant in full and `light` in short.
SHOPFLOOR_OUTAGE_S (120): how long the store stands still. SHOPFLOOR_BASE_IMAGES: a command that makes base images
where none can be pulled.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect, sync_playwright
from stack import ROOT, Failed, Stack, Unable, compose_commands, engine, provide_images, run, until

MACHINES = ["cnc-01", "cnc-02", "robot-01", "robot-02"]
KEPT = ["cnc-01", "cnc-02", "robot-01"]
"""Those behind our own edges; robot-02 is a foreign Sparkplug node that keeps nothing while its broker is away."""
SOURCES = ("simulators", "edge-machining", "edge-assembly")
"""What a machine says while one of these is away, nobody hears."""
FIRST_SAMPLE_S = 60
LIGHT_BYTES = 1 << 30
BACKLOG_S = 30
"""What an edge had on its way when a process died is sent again by then."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PASSWORD = "a password of a test"
OVERRIDES = {"default": [], "light": ["deploy/light.yml"], "mosquitto": ["deploy/mosquitto.yml"]}
FORM = "|".join((
    "{{.Config.User}}", "{{.HostConfig.ReadonlyRootfs}}", "{{.HostConfig.CapDrop}}",
    "{{.HostConfig.Memory}}", "{{.HostConfig.PidsLimit}}",
    "{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{end}}",
    "{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}{{.HostIp}} {{end}}{{end}}",
))  # fmt: skip
# settings of brokers and certificates are no secrets; what is left of the volumes is
SECRETS = "find /secrets -type f ! -name '*.conf' ! -name '*.acl' ! -name ca.pem ! -name cert.pem -exec cat {} +"
passed: list[str] = []


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


def check(condition: object, what: str) -> None:
    """Count a check; raise Failed with what is wrong."""
    if not condition:
        raise Failed(what)
    passed.append(what)


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
    stack.compose("build")
    say(f"image built in {time.monotonic() - started:.0f} s")
    for line in run("docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines():
        name, _, size = line.partition(" ")
        if name in needed or name.startswith("shopfloor-"):
            say(f"  image {name}: {size}")


def start(stack: Stack, variant: str) -> float:
    """Bring it up until all machines are heard and all is healthy; return when the first sample came, in seconds."""
    started = time.monotonic()
    stack.compose("up", "-d")
    say(f"up returned after {time.monotonic() - started:.1f} s")
    stack.log_in()
    until("the first sample", stack.last_times, 120, 0.2)
    first_s = time.monotonic() - started
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    say(f"first sample after {first_s:.1f} s (wanted: {FIRST_SAMPLE_S} s; load for each core: {load:.1f})")
    until(
        f"samples of {MACHINES}, not only of {stack.machines()}", lambda: set(MACHINES) <= set(stack.last_times()), 60
    )
    say(f"samples of all machines after {time.monotonic() - started:.1f} s")
    until("health of all", lambda: not stack.unhealthy(), 120, 2)
    say(f"all healthy after {time.monotonic() - started:.1f} s ({variant} variant)")
    check(stack.machines() == MACHINES, f"the API knows {stack.machines()}")
    return first_s


def look(stack: Stack) -> None:
    """The console in a browser, from the first link on."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        say("console: not looked at, there is no chromium here")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}).new_page()
        page.goto(stack.secret("login-link"))
        page.fill("input[name=new-password]", PASSWORD)
        page.fill("input[name=repeat]", PASSWORD)
        page.get_by_role("button", name="Save and continue").click()
        for machine in MACHINES:
            expect(page.get_by_test_id(f"tile-{machine}")).to_contain_text(re.compile(r"\d"), timeout=30_000)
        page.goto(f"http://127.0.0.1:{stack.port}/machines/cnc-01")
        expect(page.get_by_text("spindle_speed").first).to_be_visible(timeout=30_000)
        expect(page.locator("canvas").first).to_be_visible()
        if folder := os.environ.get("SHOPFLOOR_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/compose-machine.png")
        browser.close()
    check(True, "")
    say("console: every machine is on the screen, and its page has a chart")


def confined(stack: Stack) -> None:
    """Every container: no root, read-only, no capability, limits; only the gateway in workshop and enterprise."""
    networks = {}
    for service, container in stack.containers().items():
        said = run("docker", "inspect", "-f", FORM, container).strip()
        user, read_only, dropped, memory, pids, nets, hosts = said.split("|")
        check(user not in ("", "0", "root"), f"{service} runs as root")
        check(read_only == "true" and "ALL" in dropped, f"{service}: read-only {read_only}, dropped {dropped}")
        check(int(memory) > 0 and int(pids) > 0, f"{service} has no limits")
        check(set(hosts.split()) <= {"127.0.0.1"}, f"{service} is open at {hosts}")
        networks[service] = {net.rpartition("_")[2] for net in nets.split()}
    both = {service for service, of in networks.items() if "enterprise" in of and of & {"plant", "workshop"}}
    check(both == {"gateway"}, f"{both} lead from the enterprise to the workshop")
    say("confined: no root, read-only, no capabilities, limits, loopback ports, one way between the zones")


def silent(stack: Stack) -> None:
    """No secret is in a log, in the settings of a container or in an image."""
    kept = stack.compose("run", "--rm", "-T", "--no-deps", "provision", "sh", "-c", SECRETS)
    secrets = {line.strip() for line in re.split(r"[\n:]|-----[A-Z ]+-----", kept) if len(line.strip()) >= 32}
    check(len(secrets) >= 10, f"only {len(secrets)} secrets were found")
    texts = {}
    for service, container in stack.containers().items():
        texts[f"log of {service}"] = run("docker", "logs", container, check=False)
        texts[f"settings of {service}"] = run("docker", "inspect", container)
        image = run("docker", "inspect", "-f", "{{.Image}}", container).strip()
        texts[f"history of the image of {service}"] = run("docker", "history", "--no-trunc", image)
    for where, text in texts.items():
        check(not any(secret in text for secret in secrets) and "/login#" not in text, f"a secret is in the {where}")
    say(f"{len(secrets)} secrets are in no log, no setting and no image's history")


def outage(stack: Stack, store: str) -> None:
    """Stop the store; what was said meanwhile is there afterwards, every message of every machine."""
    seconds = int(os.environ.get("SHOPFLOOR_OUTAGE_S", "120"))
    begin = datetime.now(UTC) - timedelta(seconds=5)
    stack.compose("stop", store)
    say(f"{store} is stopped for {seconds} s")
    time.sleep(seconds)
    stack.compose("start", store)
    started = time.monotonic()
    until("the cloud", lambda: stack.get("health"), 90)
    stack.goes_on(MACHINES)
    end = datetime.now(UTC)

    def drained() -> bool:
        return all(stack.last_times().get(machine, "") > end.isoformat()[:23] for machine in MACHINES)

    until("the backlog", drained, 120)
    say(f"the backlog was stored {time.monotonic() - started:.1f} s after the store came back")
    whole(stack, MACHINES, begin, end)


def whole(stack: Stack, machines: Sequence[str], begin: datetime, end: datetime) -> None:
    """All messages of a time are stored, or soon will be: their numbers have no gap."""
    for machine in machines:
        missing = _missing(stack, machine, begin, end)
        deadline = time.monotonic() + BACKLOG_S
        while missing and time.monotonic() < deadline:
            time.sleep(1)
            missing = _missing(stack, machine, begin, end)
        check(not missing, f"{machine}: {len(missing)} messages are lost: {missing[:10]}")
    say(f"nothing is lost of {', '.join(machines)} from {begin:%H:%M:%S} to {end:%H:%M:%S}")


def _missing(stack: Stack, machine: str, begin: datetime, end: datetime) -> list[int]:
    numbers = set(stack.sequence(machine, begin, end))
    wanted = (end - begin).total_seconds() * 4
    check(len(numbers) > wanted, f"{machine}: {len(numbers)} messages are stored, {wanted:.0f} are too few")
    return sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)


def kill_each(stack: Stack) -> None:
    """Kill the main process of each container; it comes back, samples go on, and what our edges had is not lost."""
    begin = datetime.now(UTC)
    for service in [each for each in stack.served() if each not in SOURCES]:
        kill(stack, service)
    time.sleep(5)
    # the robot's own messages go through the broker before any edge has them
    whole(stack, ["cnc-01", "cnc-02"], begin, datetime.now(UTC) - timedelta(seconds=3))
    for service in SOURCES:
        kill(stack, service)
    until("health of all", lambda: not stack.unhealthy(), 180, 2)
    say("all healthy again")


def kill(stack: Stack, service: str) -> None:
    container = stack.container(service)
    before, started = stack.state(container)["StartedAt"], time.monotonic()
    stack.kill(service)
    until(f"{service} again", lambda: stack.state(container)["StartedAt"] != before, 60, 0.2)
    until("the cloud", lambda: stack.get("health"), 120, 0.2)
    stack.goes_on(MACHINES, 120)
    say(f"killed {service}: new samples of all machines are stored after {time.monotonic() - started:.1f} s")


def memory(stack: Stack) -> None:
    """What is used and what may be; the light variant fits."""
    served = stack.served()
    limits = [run("docker", "inspect", "-f", "{{.HostConfig.Memory}}", container) for container in served.values()]
    total = sum(map(int, limits))
    used = run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *served.values())
    sizes = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    now = sum(float(number) * sizes[unit] for number, unit in re.findall(r" ([\d.]+)([KMG]iB) /", used))
    say(f"memory: {now / 2**20:.0f} MiB used, limits {total / 2**20:.0f} MiB")
    if "influxdb" not in served:
        check(total <= LIGHT_BYTES, f"the limits of the light variant add up to {total / 2**20:.0f} MiB")


def whole_test(name: str, compose: Sequence[str], *, short: bool) -> None:
    say(f"--- {name} variant")
    stack = Stack(compose, OVERRIDES[name])
    build(stack)
    try:
        first_s = start(stack, name)
        confined(stack)
        memory(stack)
        if not short:
            look(stack)
            outage(stack, "cloud" if name == "light" else "influxdb")
            kill_each(stack)
        silent(stack)
        # last, so that a start that is slow hides nothing else
        check(first_s <= FIRST_SAMPLE_S, f"the first sample came after {first_s:.0f} s")
    except BaseException:
        for service, container in stack.containers().items():
            say(f"==== log of {service}\n{run('docker', 'logs', '--tail', '15', container, check=False)}")
        raise
    finally:
        started = time.monotonic()
        stack.compose("down", "-v", "--remove-orphans", check=False)
        say(f"down -v took {time.monotonic() - started:.1f} s")
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
