"""What is looked at while a plant in containers runs: the console, walls, secrets, memory."""

from __future__ import annotations

import os
import re
import shutil

from images import run
from playwright.sync_api import expect, sync_playwright
from report import check, say
from stack import MACHINES, PASSWORD, Stack

LIGHT_BYTES = 1 << 30
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FORM = "|".join((
    "{{.Config.User}}", "{{.HostConfig.ReadonlyRootfs}}", "{{.HostConfig.CapDrop}}",
    "{{.HostConfig.Memory}}", "{{.HostConfig.PidsLimit}}",
    "{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{end}}",
    "{{range $port, $bound := .NetworkSettings.Ports}}{{range $bound}}{{.HostIp}} {{end}}{{end}}",
))  # fmt: skip
# settings of brokers and certificates are no secrets; what is left of the volumes is
SECRETS = "find /secrets -type f ! -name '*.conf' ! -name '*.acl' ! -name ca.pem ! -name cert.pem -exec cat {} +"


def look(stack: Stack, link: str) -> None:
    """The console in a browser, from the first link on."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        say("console: not looked at, there is no chromium here")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900}).new_page()
        page.goto(link)
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
