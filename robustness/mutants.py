"""`python -m robustness.mutants`: does the checker bite? Break our own code on purpose, and see it found.

Each mutant is one change in a copy of the tree. The small chain (robustness.chain) or the crash states
(robustness.crashes) must fail on it, and must not fail on the code as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("contract", "spool", "vibration", "edge", "gateway", "simulators", "shopfloor", "robustness")
TIMEOUT_S: Final = 150.0
TRIES: Final = 3
"""Seeds that a mutant is tried with before it counts as not found."""


class Change(NamedTuple):
    """`old` stands once in `file` and becomes `new`."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A wrong version of the code, and which check must find it."""

    name: str
    changes: tuple[Change, ...]
    by: Literal["chain", "crashes"] = "chain"


def _mutant(name: str, file: str, old: str, new: str, by: Literal["chain", "crashes"] = "chain") -> Mutant:
    return Mutant(name, (Change(file, old, new),), by)


MUTANTS: Final = (
    _mutant(
        "the store takes what the cloud has not had",
        "gateway/sinks.py",
        "kept = [n for n in for_cloud if n > self.cloud_n] if self._has_cloud else []",
        "kept: list[int] = []",
    ),
    _mutant("the spool does not sync", "spool/file.py", "PRAGMA synchronous = FULL", "PRAGMA synchronous = OFF"),
    _mutant(
        "the spool says durable before the commit",
        "spool/spool.py",
        "self._clock_ns(), size, done, notes))\n",
        "self._clock_ns(), size, lambda *_: None, notes))\n            done(1, None)\n",
    ),
    _mutant(
        "a repeat is taken for new",
        "spool/spool.py",
        "put.origin is None or file.receive(put.origin)",
        "put.origin is None or file.receive(put.origin) or True",
    ),
    _mutant(
        "what was received is forgotten by a restart",
        "spool/spool.py",
        "file.write_received({(put.origin.node, put.origin.epoch) for put in puts if put.origin is not None})",
        "pass",
    ),
    _mutant(
        "a number is given out again",
        "spool/file.py",
        "        first = self.last_n + 1\n",
        "        self.last_n = self.newest_n()\n        first = self.last_n + 1\n",
    ),
    _mutant(
        "checksums are not looked at",
        "spool/file.py",
        " and crc == checksum(n, time_ns, topic, body)",
        "",
        "crashes",
    ),
    _mutant("the mark is not believed", "spool/salvage.py", "if mark.n <= file.last_n:", "if mark:", "crashes"),
    _mutant(
        "what damage has cost is not told",
        "spool/recover.py",
        "is_whole=tables.is_whole and carved == 0)\n",
        "is_whole=tables.is_whole and carved == 0)[:0]\n",
        "crashes",
    ),
    Mutant(
        "the gateway acknowledges before the commit",
        (
            Change(
                "gateway/receive.py",
                "        self._spool.hand(topic, body, origin, done,",
                "        if origin is not None:\n            self._acks.committed(node, origin.epoch, origin.n)\n"
                "        self._spool.hand(topic, body, origin, done,",
            ),
            Change(
                "gateway/acks.py",
                "intervals = self._received(node, epoch)\n",
                "intervals = [(n, n) for n in sorted(set(numbers))]\n",
            ),
        ),
    ),
    _mutant(
        "an acknowledgement covers what never came",
        "gateway/acks.py",
        "intervals = self._received(node, epoch)\n",
        "intervals = [(1, max(numbers))]\n",
    ),
    _mutant(
        "the cursor moves though the store has not answered",
        "gateway/forward.py",
        'if answer.outcome not in ("written", "rejected"):',
        'if answer.outcome == "never":',
    ),
    _mutant(
        "the cursor moves before the post",
        "gateway/forward.py",
        "        piece = batch.todo[-1]\n",
        "        self._spool.remove(batch.intervals, batch.notes)\n        piece = batch.todo[-1]\n",
    ),
    _mutant(
        "the edge removes what it has sent",
        "edge/node.py",
        "            if past:\n                self.sent.historical",
        "            self._spool.remove([(record.n, record.n)])\n"
        "            if past:\n                self.sent.historical",
    ),
    _mutant(
        "the edge removes all up to what is acknowledged",
        "edge/node.py",
        "self._spool.remove(intervals)",
        "self._spool.remove([(1, max(last for _, last in intervals))])",
    ),
    _mutant(
        "the backlog is left out after a reconnect",
        "edge/window.py",
        "= last_n, 0, last_n",
        "= last_n, last_n, last_n",
    ),
    _mutant(
        "what nobody acknowledged is not sent again",
        "edge/window.py",
        "            del self._in_flight[n]\n            self._owe(n)\n",
        "            del self._in_flight[n]\n",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all; return 1 when one was not found, or when the code as it is fails."""
    parser = argparse.ArgumentParser(prog="python -m robustness.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only mutants whose name holds one of these words")
    options = parser.parse_args(arguments)
    chosen = [each for each in MUTANTS if not options.names or any(word in each.name for word in options.names)]
    survived = []
    with tempfile.TemporaryDirectory(prefix="shopfloor-mutants-") as folder:
        tree = Path(folder) / "tree"
        for package in PACKAGES:
            shutil.copytree(
                ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
            )
        for kind in () if options.names else ("chain", "crashes"):
            if found := _fails(tree, kind, 1):
                _say(f"the code as it is fails: {found}")
                return 1
        for mutant in chosen:
            started = time.monotonic()
            found = _found(tree, mutant)
            _say(f"{'found' if found else 'NOT FOUND'}: {mutant.name} ({time.monotonic() - started:.0f} s): {found}")
            if not found:
                survived.append(mutant.name)
    _say(f"{len(chosen) - len(survived)} of {len(chosen)} mutants found")
    return 1 if survived else 0


def _found(tree: Path, mutant: Mutant) -> str:
    sound = {change.file: (tree / change.file).read_text() for change in mutant.changes}
    for change in mutant.changes:
        text = (tree / change.file).read_text()
        if text.count(change.old) != 1:
            raise ValueError(f"{mutant.name}: its code stands {text.count(change.old)} times in {change.file}")
        (tree / change.file).write_text(text.replace(change.old, change.new))
    try:
        return next((found for seed in range(1, TRIES + 1) if (found := _fails(tree, mutant.by, seed))), "")
    finally:
        for file, text in sound.items():
            (tree / file).write_text(text)


def _fails(tree: Path, by: str, seed: int) -> str:
    """Run the chain or the crash states of a tree; return the first thing that is wrong, or an empty text."""
    with tempfile.TemporaryDirectory(prefix="shopfloor-mutant-") as folder:
        command = [sys.executable, "-P", "-m", f"robustness.{by}", "--seed", str(seed)]
        command += [folder] if by == "chain" else ["--step", "401", "--flips", "200", "--tails", "60"]
        environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environ, cwd=tree, stdout=pipe, stderr=pipe, text=True, process_group=0
        ) as process:
            try:
                said, errors = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its children, too: they hold the pipes
                return f"hang: not done after {TIMEOUT_S:.0f} s"
        if process.returncode == 0:
            return ""
        return [*said.strip().splitlines(), *errors.strip().splitlines()[-1:], "no word"][0][:150]


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
