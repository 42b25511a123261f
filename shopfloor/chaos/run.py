"""A chaos run: a plant, a seeded schedule of faults, and at the end the checker's verdict."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from shopfloor.api import Api
from shopfloor.chaos import source, words
from shopfloor.chaos.checker import Finding, Outage, Produced, Verdict, check, read_emitted
from shopfloor.chaos.deeds import Deeds, Fault, Kept, crossings, losses, read_kept, read_said
from shopfloor.chaos.faults import KINDS, WORLD, Harm, impossible
from shopfloor.chaos.plant import FAKETIME, SOURCES, ChaosPlant
from shopfloor.chaos.stood import Watch
from shopfloor.chaos.store import SECOND_NS, last_times, missing_numbers, read_stored
from shopfloor.chaos.traffic import MACHINES, ON_REQUEST, Traffic
from shopfloor.errors import CommandError
from shopfloor.home import Home

HOLD_S: Final = (1.0, 4.0)
RECOVERY_LIMIT_S: Final = 60.0
"""After this long without data the run takes it for a hang."""
DRAIN_S: Final = 90.0
POLL_S: Final = 0.25
CALM_S: Final = 1.0
UNDER_WAY_S: Final = 1.0
AHEAD_S: Final = 0.25
"""A simulated machine dates what it sends with the end of its step, which is up to 0.2 s ahead of the wall."""
IN_TIME_LIMIT_S: Final = 30.0
LOOK_NS: Final = 4000 * SECOND_NS
"""So far around the run it is looked for what a wrong clock has dated: clocks jump by an hour."""


@dataclass(slots=True)
class Event:
    """One fault, or two at once: times are UTC in ns; `back_s` is how long after its end each source was back."""

    kind: str
    detail: str
    start_ns: int
    end_ns: int
    back_s: dict[str, float] = field(default_factory=dict)
    hung: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What a run has found."""

    seed: int
    seconds: float
    events: list[Event] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    """How often each odd input was sent."""
    counts: Counter[str] = field(default_factory=Counter)
    """Events, blocks, and commands by verdict."""
    stood: int = 0
    """How often the computer stood still, and for how long at most."""
    stood_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, doubled, altered or hung."""
        return self.verdict.ok and not self.missing and not any(event.hung for event in self.events)

    def kind_at(self, time_ns: int) -> str:
        """Return the kind of the fault that was under way, or had just ended, at a time; "calm" for none."""
        for event in reversed(self.events):
            back_ns = round(max(event.back_s.values(), default=RECOVERY_LIMIT_S) * SECOND_NS)
            if event.start_ns - 2 * SECOND_NS <= time_ns <= event.end_ns + back_ns + SECOND_NS:
                return event.kind
        return "calm"

    def rows(self) -> list[list[Any]]:
        """Return the rows of the table under HEADER, one per kind of fault; of findings, those that are kept."""
        wrong: Counter[tuple[str, str]] = Counter()
        for finding in self.verdict.findings:
            wrong[self.kind_at(finding.time_ns), finding.what] += 1
        kinds = list(dict.fromkeys([*sorted({event.kind for event in self.events}), *(k for k, _ in wrong)]))
        rows = []
        for kind in kinds:
            mine = [event for event in self.events if event.kind == kind]
            counts = [wrong[kind, what] for what in WRONGS]
            rows.append([kind, len(mine), *_times(mine), self.verdict.explained[kind], *counts])
        totals = [self.verdict.wrong[what] for what in WRONGS]
        return [*rows, ["all", len(self.events), *_times(self.events), self.verdict.explained.total(), *totals]]


WRONGS: Final = ("lost", "doubled", "altered", "alien", "late", "false", "untold", "ended")
HEADER: Final = ("fault", "times", "back p50 s", "p95 s", "most s", "explained", *WRONGS)


def _times(events: Sequence[Event]) -> list[float | None]:
    times = sorted(max(event.back_s.values(), default=RECOVERY_LIMIT_S) for event in events)
    return [round(quantile(times, q), 1) if times else None for q in (0.5, 0.95, 1.0)]


def quantile(ascending: Sequence[float], q: float) -> float:
    """Return the smallest value that at least `q` of them do not exceed.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.95)
    (2, 4)
    """
    return ascending[max(0, -(-round(q * len(ascending) * 1000) // 1000) - 1)]


async def chaos(
    kinds: Sequence[str],
    *,
    seed: int,
    seconds: float,
    pairs: bool,
    rounds: int | None = None,
    hold_s: tuple[float, float] = HOLD_S,
    port: int,
    home: Path | None,
    say: Callable[[str], None],
) -> Report:
    """Run faults of `kinds` for `seconds`, drain, and check; raise CommandError when the plant does not start.

    `pairs`: two kinds at once, all pairs in turn. `rounds`: how often each kind (or pair), however long it takes.
    `hold_s`: how long one lasts, at least and at most.
    """
    with tempfile.TemporaryDirectory(prefix="shopfloor-chaos-", ignore_cleanup_errors=True) as folder:
        fake_time = "clock-jump" in kinds and FAKETIME.exists()
        world = not WORLD.keys().isdisjoint(kinds)
        full = "disk-full" in kinds
        plant = ChaosPlant(Home(home or Path(folder)), port, small_disk=full, fake_time=fake_time, world=world)
        run = _Run(plant, Report(seed, seconds), hold_s, say)
        try:
            with Watch() as watch:
                await run.go(kinds, 2 if pairs else 1, rounds)
            run.report.stood, run.report.stood_s = watch.times, watch.most_s
        finally:
            await plant.stop()
            try:
                run.count_numbers()
            finally:
                plant.unmount()
        return run.report


class _Run:
    def __init__(
        self, plant: ChaosPlant, report: Report, hold_s: tuple[float, float], say: Callable[[str], None]
    ) -> None:
        self.plant = plant
        self.report = report
        self._hold_s = hold_s
        self._say = say
        self._outages: list[Outage] = []
        self._start_ns = 0
        self._is_done = False
        self._kept = Kept()

    async def go(self, kinds: Sequence[str], at_once: int, rounds: int | None) -> None:
        await self.plant.start()
        token = self.plant.home.secret("cli-token").read_text().strip()
        with Api(self.plant.demo.url.rstrip("/"), token) as api:
            await self._flowing(api, SOURCES, 0)
            demo = self.plant.demo
            self._traffic = Traffic(
                lambda: Api(demo.url.rstrip("/"), token), demo.truth_port, self.plant.emitted[0], self.report.seed
            )
            self._start_ns = time.time_ns()
            going_on = asyncio.create_task(self._traffic.run())
            try:
                await self._harm(api, kinds, at_once, rounds)
                await asyncio.sleep(CALM_S)
            finally:
                going_on.cancel()
                (result,) = await asyncio.gather(going_on, return_exceptions=True)
            if isinstance(result, Exception):
                raise result
            await self._settle(api)
        self._is_done = True

    def count_numbers(self) -> None:
        """Compare the accounts of the spools, once nobody uses them."""
        if self._is_done:
            self.report.missing = missing_numbers(self.plant.home.path)

    async def _harm(self, api: Api, kinds: Sequence[str], at_once: int, rounds: int | None) -> None:
        dice = random.Random(self.report.seed)  # noqa: S311 - no secret
        self.report.skipped = {kind: why for kind in kinds if (why := impossible(kind, self.plant))}
        possible = [kind for kind in kinds if kind not in self.report.skipped]
        groups = list(combinations(possible, at_once))
        deadline = time.monotonic() + self.report.seconds
        while groups and (rounds is None or len(self.report.events) < rounds * len(groups)):
            for group in dice.sample(groups, len(groups)):
                if rounds is None and time.monotonic() > deadline and self.report.events:
                    return
                await self._together(api, group, dice)
                await asyncio.sleep(CALM_S)

    async def _together(self, api: Api, group: Sequence[str], dice: random.Random) -> None:
        """Do the faults of a group at once, and wait until data flows after the last of them."""
        kind = " + ".join(group)
        await self._in_time(api)
        start_ns = time.time_ns()
        # dice of its own for each: who asks first must not change what the seed means
        harms = await asyncio.gather(*(self._harmed(each, dice.random()) for each in group))
        detail = ", ".join(harm.detail for harm in harms if harm.detail)
        event = Event(kind, detail, start_ns, time.time_ns())
        self.report.events.append(event)
        times = await self._flowing(api, SOURCES, event.end_ns, event)
        for harm in harms:
            first_ns = start_ns - round(harm.before_s * SECOND_NS)
            for asset in harm.sources | harm.moved:
                end_ns = times.get(asset, time.time_ns()) + round(harm.after_s * SECOND_NS)
                self._outages.append(Outage(kind, frozenset((asset,)), first_ns, end_ns, asset not in harm.sources))
        most = max(event.back_s.values(), default=RECOVERY_LIMIT_S)
        late = f"; no data from {', '.join(event.hung)}" if event.hung else ""
        self._say(f"{kind} {event.detail}: data flows after {most:.1f} s{late}")

    async def _harmed(self, kind: str, seed: float) -> Harm:
        dice = random.Random(seed)  # noqa: S311 - no secret
        return await (KINDS.get(kind) or WORLD[kind])(self.plant, dice, dice.uniform(*self._hold_s))

    async def _in_time(self, api: Api) -> None:
        """Wait while samples are long under way: what is there when a fault begins is taken for lost in it."""
        deadline = time.monotonic() + IN_TIME_LIMIT_S
        while time.monotonic() < deadline:
            newest = await asyncio.to_thread(last_times, api, SOURCES, time.time_ns())
            oldest_ns = min(newest.get(asset, 0) for asset in SOURCES)
            if time.time_ns() - oldest_ns < UNDER_WAY_S * SECOND_NS:
                return
            await asyncio.sleep(POLL_S)

    async def _flowing(
        self, api: Api, assets: frozenset[str], since_ns: int, event: Event | None = None
    ) -> dict[str, int]:
        """Wait until a sample after `since_ns` of each asset is stored; return the time of the one that was seen.

        What is dated within AHEAD_S of it may have been sent before it.
        """
        seen: dict[str, int] = {}
        started = time.monotonic()
        while len(seen) < len(assets) and time.monotonic() - started < RECOVERY_LIMIT_S:
            await asyncio.sleep(POLL_S)
            try:
                newest = await asyncio.to_thread(last_times, api, assets, time.time_ns())
            except CommandError:
                continue  # the cloud is what was harmed
            for asset in assets - seen.keys():
                if newest.get(asset, 0) > since_ns + AHEAD_S * SECOND_NS:
                    seen[asset] = newest[asset]
                    if event is not None:
                        event.back_s[asset] = (time.time_ns() - since_ns) / 1e9
        if event is not None:
            event.hung = tuple(sorted(assets - seen.keys()))
        elif len(seen) < len(assets):
            raise CommandError(f"no data of {', '.join(sorted(assets - seen.keys()))}", "see the logs in the home")
        return seen

    async def _settle(self, api: Api) -> None:
        """Check until all that was produced up to now is there, for as long as draining may take."""
        end_ns = time.time_ns()
        deadline = time.monotonic() + DRAIN_S
        while True:
            self.report.verdict = await asyncio.to_thread(self._check, api, end_ns)
            if self.report.verdict.ok or time.monotonic() > deadline:
                return
            await asyncio.sleep(2)

    def _check(self, api: Api, end_ns: int) -> Verdict:
        every = read_emitted(self.plant.emitted)
        produced = {key: made for key, made in every.items() if key[0] in SOURCES}
        stored = read_stored(api, sorted(SOURCES), self._start_ns - LOOK_NS, end_ns + LOOK_NS)
        verdict = check(produced, stored, self._outages, self._start_ns, end_ns)
        self._check_deeds(api, end_ns, verdict, produced)
        if hasattr(self.plant, "world"):
            self._check_world(api, end_ns, verdict)
        return verdict

    def _check_deeds(self, api: Api, end_ns: int, verdict: Verdict, produced: Produced) -> None:
        """Check what became of events, blocks and commands."""
        said, kept = read_said(self.plant.emitted), self._kept
        assets = (*MACHINES, source.ASSET)
        read_kept(api, assets, self._start_ns - LOOK_NS, end_ns + LOOK_NS, kept)
        ledger = api.get("ledger")
        deeds = Deeds(verdict, [*self._outages, *losses(ledger)], self._start_ns, end_ns)
        limit = source.DETECTOR
        series = produced.get((source.ASSET, str(limit["signal"])), {})
        found = crossings(source.ASSET, str(limit["name"]), series, source.HIGH, source.HYSTERESIS, text=source.TEXT)
        deeds.check_events([*said.events, *found], kept.events)
        deeds.check_blocks(said.blocks, kept.blocks, set(MACHINES) - {ON_REQUEST})
        deeds.check_requests(kept.commands, kept.blocks)
        back_ns = round(RECOVERY_LIMIT_S * SECOND_NS)
        faults = [Fault(event.start_ns, event.end_ns + self._back_ns(event, back_ns)) for event in self.report.events]
        deeds.check_writes(kept.commands, said.deeds, self._traffic.wished, faults)
        self.report.counts = deeds.counts
        self.report.counts["unexplained"] = ledger["unexplained"]

    @staticmethod
    def _back_ns(event: Event, limit_ns: int) -> int:
        return round(max(event.back_s.values(), default=limit_ns / 1e9) * SECOND_NS)

    def _check_world(self, api: Api, end_ns: int, verdict: Verdict) -> None:
        """Check what became of the odd inputs, and that they have ended no process."""
        said = self.plant.world.said
        rows = list({each.row.name: each.row for each in said}.values())
        kept = words.read_kept(api, rows, self.plant.quarantine, self._start_ns - LOOK_NS, end_ns + LOOK_NS)
        self.report.odd = dict(sorted(words.check(said, kept, verdict).items()))
        lines = ["/".join(path.name.split(".")[:2]) for path in self.plant.spools("edge")]
        words.check_put_backs(lines, self.plant.put_backs, kept, verdict)
        if unexplained := kept.losses["", "unexplained"]:
            verdict.note(Finding("untold", "", "", end_ns, f"{unexplained} messages are unexplained"))
        for name in ("edge", "gateway", "cloud"):
            deaths = self.plant.service(name).restarts - self.plant.kills[name]
            if deaths:
                verdict.note(Finding("ended", name, "", end_ns, f"{deaths} times; see {self.plant.home.log(name)}"))
