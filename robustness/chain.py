"""`python -m robustness.chain FOLDER`: many lives of a small chain, each ended by death or loss of power; a check.

Ends with 1 and one line for each thing that is wrong, with 0 when all that was accepted is stored, once and equal.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from contract.lineprotocol import iterate
from contract.log import configure
from robustness.life import Life
from shopfloor.chaos.checker import Key, Value, check, read_emitted

ROOT: Final = Path(__file__).parent.parent
STEPS: Final = 25
MOST_EVENTS: Final = 220
SYNCED: Final = (".spool", ".spool-wal")


def build_shim(folder: Path) -> Path | None:
    """Compile powerloss.c; None where there is no C compiler."""
    compiler, source = shutil.which("cc"), Path(__file__).with_name("powerloss.c")
    if compiler is None:
        return None
    library = folder / "powerloss.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lives; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m robustness.chain", description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lives", type=int, default=12)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    if not options.inside:
        return _with_shim(folder, options.seed, options.lives)
    dice = random.Random(options.seed)
    for _ in range(options.lives):
        status = _fork(folder, dice.randrange(2**32), dice.randrange(5, MOST_EVENTS))
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            return 1
        if "POWERLOSS_SHADOW" in os.environ and dice.random() < 0.6:
            _lose_power(folder / "home", Path(os.environ["POWERLOSS_SHADOW"]))
    status = _fork(folder, dice.randrange(2**32), 0)
    wrong = [] if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else ["the last life failed"]
    for line in (wrong := wrong + findings(folder)):
        print(line)
    return 1 if wrong else 0


def _with_shim(folder: Path, seed: int, lives: int) -> int:
    """Run ourselves again under the library that remembers what was synced."""
    (folder / "shadow").mkdir(parents=True, exist_ok=True)
    environ = dict(os.environ)
    if (shim := build_shim(folder)) is not None:
        environ |= {"LD_PRELOAD": str(shim), "POWERLOSS_ROOT": f"{folder}/home/"}
        environ["POWERLOSS_SHADOW"] = str(folder / "shadow")
    command = [sys.executable, "-m", "robustness.chain", str(folder.absolute()), "--inside"]
    command += ["--seed", str(seed), "--lives", str(lives)]
    return subprocess.run(command, env=environ, cwd=ROOT, check=False).returncode


def _fork(folder: Path, seed: int, kill_at: int) -> int:
    """Live once in a child; return its status. A life of its own process: it may die anywhere."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        configure("chain")
        life = Life(folder, seed, kill_at)
        if kill_at:
            life.live(STEPS)
            code = 0
        elif trouble := life.drain():
            print(trouble, flush=True)
        else:
            code = 0
    finally:
        os._exit(code)


def _lose_power(home: Path, shadow: Path) -> None:
    """Let each spool be what its last sync has promised."""
    for path in [*home.glob("*"), *home.glob("*/*")]:
        if path.name.endswith(SYNCED):
            kept = shadow / path.name
            path.write_bytes(kept.read_bytes() if kept.exists() else b"")


def findings(folder: Path) -> list[str]:
    """Return what is lost, altered or alien in the store, in words."""
    offered, accepted = (read_emitted([folder / f"{name}.jsonl"]) for name in ("offered", "accepted"))
    stored: dict[Key, dict[int, Value]] = {}
    wrong = []
    for point in iterate((folder / "store.lines").read_bytes()):
        for signal, value in point.fields.items():
            key = point.tags["asset"], signal
            if stored.setdefault(key, {}).setdefault(point.time_ns or 0, value) != value:
                wrong.append(f"altered: {key} at {point.time_ns} came again as {value!r}")
    # a sample that was offered and not said to be durable may be stored or not
    expected = {
        key: {t: v for t, v in made.items() if t in accepted.get(key, {}) or t in stored.get(key, {})}
        for key, made in offered.items()
    }
    wrong += _events(folder)
    rows = {key: list(made.items()) for key, made in stored.items() if key[0] == "cnc-01"}
    verdict = check(expected, rows, [], 0, 2**63)
    wrong += [f"{each.what}: {each.signal} at {each.time_ns} {each.detail}" for each in verdict.findings]
    return wrong if verdict.ok or wrong else ["nothing was stored"]


def _events(folder: Path) -> list[str]:
    """Return which events are lost or altered, in words; one that comes again is that event."""
    accepted = {event["id"]: event for event in map(orjson.loads, _whole(folder / "events.jsonl"))}
    told: dict[str, object] = {}
    wrong = []
    for line in map(orjson.loads, _whole(folder / "cloud.lines")):
        if line["kind"] == "event" and told.setdefault(line["event"]["id"], line["event"]) != line["event"]:
            wrong.append(f"altered: the event {line['event']['id']} came again as another")
    wrong += [f"altered: the event {id_}" for id_ in accepted.keys() & told.keys() if accepted[id_] != told[id_]]
    return wrong + [f"lost: the event {id_}" for id_ in accepted.keys() - told.keys()]


def _whole(path: Path) -> list[bytes]:
    """Return the lines of a file that are whole: the last one may have ended with its writer."""
    return [line for line in path.read_bytes().splitlines() if line.endswith(b"}")] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
