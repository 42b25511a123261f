"""`python -m robustness.crashes`: every state in which a death or a bad disk may leave a spool.

Of one spool, copied while it was open, states are made: its log cut at each byte of its last three records, wrong bits
anywhere, and tails of which some sectors were never written. Each must open, give every record that the state did not
harm, tell which numbers may be missing, and never give a number out again.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from spool import Spool, SpoolError

SETTLED: Final = 30
"""Records that lie in the file itself; the later ones are in its log."""
RECORDS: Final = 10
LAST: Final = 3
SECTOR: Final = 512
NAME: Final = "a.spool"


class Original(NamedTuple):
    """A spool as it was while it was open: its files, its records, the size of its log after each of the last ones."""

    files: dict[str, bytes]
    bodies: dict[int, bytes]
    log_sizes: list[int]


class State(NamedTuple):
    """A crash state: its files, and the highest number that it must still have for sure."""

    what: str
    files: dict[str, bytes]
    safe_n: int


def original(folder: Path) -> Original:
    """Fill a spool, one record to a commit, and copy it before it is closed."""
    bodies: dict[int, bytes] = {}
    sizes: list[int] = []
    log = folder / f"{NAME}-wal"
    with Spool.open(folder / NAME, linger_s=0) as spool:
        for index in range(SETTLED):
            bodies |= _put(spool, index)
    with Spool.open(folder / NAME, linger_s=0) as spool:
        for index in range(SETTLED, SETTLED + RECORDS):
            bodies |= _put(spool, index)
            sizes.append(log.stat().st_size)
        files = {part.name: part.read_bytes() for part in folder.glob(f"{NAME}*") if not part.name.endswith("reserve")}
    return Original(files, bodies, sizes)


def _put(spool: Spool, index: int) -> dict[int, bytes]:
    body = b"%04d" % index * (20 + 100 * (index % 3))
    number = spool.put("topic", body).result(10)
    assert number is not None
    return {number: body}


def states(made: Original, dice: random.Random, *, step: int, flips: int, tails: int) -> Iterator[State]:
    """Yield the crash states: each `step`-th cut of the last records, `flips` wrong bits, `tails` torn tails."""
    log = f"{NAME}-wal"
    for size in range(made.log_sizes[-LAST - 1], made.log_sizes[-1], step):
        safe_n = SETTLED + sum(each <= size for each in made.log_sizes)
        yield State(f"log cut at {size}", made.files | {log: made.files[log][:size]}, safe_n)
    for _ in range(flips):
        name = dice.choice(sorted(made.files))
        data = bytearray(made.files[name])
        at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
        yield State(f"{name} bit {at}", made.files | {name: bytes(data)}, 0)
    for _ in range(tails):
        keep = dice.randrange(len(made.log_sizes) - LAST, len(made.log_sizes))
        data = bytearray(made.files[log])
        start = made.log_sizes[keep - 1]
        for at in range(start, len(data), SECTOR):
            fate = dice.random()
            if fate < 0.6:
                length = len(data[at : at + SECTOR])
                data[at : at + length] = bytes(length) if fate < 0.3 else dice.randbytes(length)
        yield State(f"tail torn after {start}", made.files | {log: bytes(data)}, SETTLED + keep)


def wrong_with(state: State, made: Original, folder: Path) -> str:
    """Open a state; return what is wrong with what it gives, or an empty text."""
    for name, data in state.files.items():
        (folder / name).write_bytes(data)
    try:
        with Spool.open(folder / NAME, linger_s=0) as spool:
            records = {record.n: record.body for record in spool.read(limit=1000)}
            epoch, salvage, stats = spool.epoch, spool.salvage, spool.stats
            next_n = spool.put("topic", b"next").result(10)
    except SpoolError as error:
        return str(error)
    if changed := [n for n, body in records.items() if made.bodies.get(n) != body]:
        return f"records {changed} are not what was put"
    missing = made.bodies.keys() - records.keys()
    if harmed := sorted(n for n in missing if n <= state.safe_n):
        return f"records {harmed} are gone, and the state did not harm them"
    told = [*(salvage.lost if salvage is not None else []), *((each.first, each.last) for each in stats.dropped_ranges)]
    if untold := sorted(n for n in missing if not any(first <= n <= last for first, last in told)):
        return f"records {untold} are gone and nobody says so ({salvage})"
    if next_n is None or (next_n <= max(made.bodies) and epoch in made.files[f"{NAME}.mark"].decode("latin-1")):
        return f"number {next_n} is given out again in epoch {epoch}"
    return ""


def run(*, step: int, flips: int, tails: int, seed: int, seconds: float, say: Callable[[str], None]) -> tuple[int, int]:
    """Try the states, for at most `seconds`; return how many were tried and how many were wrong."""
    dice = random.Random(seed)
    tried = wrong = 0
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as top:
        made = original(Path(top))
        deadline = time.monotonic() + seconds
        for state in states(made, dice, step=step, flips=flips, tails=tails):
            if time.monotonic() > deadline:
                say(f"out of time after {tried} states")
                break
            folder = Path(top) / "state"
            folder.mkdir()
            if trouble := wrong_with(state, made, folder):
                wrong += 1
                say(f"{state.what}: {trouble}")
            shutil.rmtree(folder)
            tried += 1
    return tried, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return 1 when a state was wrong."""
    parser = argparse.ArgumentParser(prog="python -m robustness.crashes", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="cut at every step-th byte")
    parser.add_argument("--flips", type=int, default=3000)
    parser.add_argument("--tails", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=900, help="stop after this long")
    options = parser.parse_args(arguments)
    logging.disable()
    tried, wrong = run(
        step=options.step,
        flips=options.flips,
        tails=options.tails,
        seed=options.seed,
        seconds=options.seconds,
        say=_say,
    )
    _say(f"{tried} crash states opened, {wrong} wrong")
    return 1 if wrong or not tried else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
