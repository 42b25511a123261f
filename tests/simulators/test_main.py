"""`python -m simulators` as a process: it starts, shows itself, and ends as promised."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import yaml


def free_ports(count: int) -> list[int]:
    """TCP ports that are free now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = dict(os.environ) | {"SHOPFLOOR_HOME": str(folder), "SHOPFLOOR_MQTT_URL": "mqtt://127.0.0.1:1"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *arguments,
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )


async def say(port: int, target: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[2]


async def test_it_runs_writes_its_plant_file_and_ends_cleanly(tmp_path: Path) -> None:
    opcua, truth = free_ports(2)
    plant, journal = tmp_path / "plant.yaml", tmp_path / "truth.jsonl"
    process = await start(
        tmp_path, "--opcua-port", str(opcua), "--truth-port", str(truth), "--write-plant", str(plant),
        "--journal", str(journal), "--speed", "60",
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(40):
            while b"the factory runs" not in await process.stderr.readline():
                pass
            # the plant file is there as soon as the machines are
            assert set(yaml.safe_load(plant.read_text())["areas"]) == {"machining", "assembly"}
            while json.loads(await say(truth, "/truth"))["time_s"] < 60.0:
                pass
            process.send_signal(signal.SIGTERM)
            rest = await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"the factory stands" in rest
    assert {json.loads(line)["event"] for line in journal.read_text().splitlines()} >= {"cycle_started", "job_done"}


async def test_a_taken_port_and_a_wrong_file_say_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await start(tmp_path, "--opcua-port", str(taken.getsockname()[1]))
        _, said = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 2
        assert b"choose others with --opcua-port" in said.splitlines()[-1]
        assert b"Traceback" not in said
    process = await start(tmp_path, "nothing.yaml")
    _, said = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 2
    assert b"have: default.yaml" in said
    assert b"Traceback" not in said
