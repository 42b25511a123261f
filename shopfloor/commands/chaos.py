"""`shopfloor chaos`: harm a factory on purpose and prove that nothing is lost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from shopfloor.chaos import run
from shopfloor.chaos.faults import KINDS, WORLD
from shopfloor.chaos.run import HEADER, HOLD_S, Report
from shopfloor.errors import ConfigurationError, Exit
from shopfloor.output import err, out, print_json, table
from shopfloor.ports import port_of

app = typer.Typer(add_completion=False)


@app.command()
def chaos(
    *,
    seed: Annotated[int, typer.Option(help="The same seed makes the same schedule of faults.")] = 1,
    faults: Annotated[str, typer.Option(help=f"Which kinds, with commas: {', '.join(KINDS)}. All by default.")] = "",
    world: Annotated[
        bool, typer.Option("--world", help=f"Odd inputs, as the world sends them, are the faults: {', '.join(WORLD)}.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to make faults; draining and checking add to it.")
    ] = 60,
    pairs: Annotated[bool, typer.Option("--pairs", help="Two kinds at once.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Do each kind (or pair) so often, however long it takes.")
    ] = None,
    hold: Annotated[
        float | None, typer.Option(min=0.1, max=3600, help="Seconds that each fault lasts; 1 to 4 by default.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Keep the plant's files in this empty folder, to look into them.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run a factory of its own under faults, and check that all that was produced is stored, once and unchanged.

    Takes thirteen ports from SHOPFLOOR_PORT on. Ends with 1 when anything was lost, doubled or altered, or did not come
    back.
    """
    known = WORLD if world else KINDS
    kinds = [kind.strip() for kind in faults.split(",") if kind.strip()] or list(known)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise ConfigurationError(f"no fault {unknown[0]!r}", f"have: {', '.join(known)}")
    if pairs and world:
        raise ConfigurationError("--pairs is not for --world", "leave one of them out")
    if pairs and len(set(kinds)) < 2:
        raise ConfigurationError("--pairs needs two kinds of faults", "name two in --faults, or leave it out for all")
    if home is not None:
        home = home.absolute()
        if home.exists() and any(home.iterdir()):
            raise ConfigurationError(f"{home} is not empty", "a chaos run needs a fresh folder of its own")
    report = asyncio.run(
        run.chaos(
            kinds,
            seed=seed,
            seconds=seconds,
            pairs=pairs,
            rounds=rounds,
            hold_s=HOLD_S if hold is None else (hold, hold),
            port=port_of(os.environ),
            home=home,
            say=lambda line: _say(line, json),
        )
    )
    if json:
        print_json(as_dict(report))
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(Exit.FAILED)


def _say(line: str, json: bool) -> None:
    if not json:
        err.print(line, markup=False, style="dim")


def _print(report: Report) -> None:
    table(HEADER, report.rows())
    for kind, why in report.skipped.items():
        out.print(f"{kind}: not run: {why}", markup=False)
    verdict = report.verdict
    out.print(
        f"seed {report.seed}: {len(report.events)} faults; {verdict.produced} samples produced, {verdict.equal} stored "
        f"and equal, {verdict.explained.total()} explained by outages of their source, {verdict.repeated} read again",
        markup=False,
    )
    counts = [f"{count} {what}" for what, count in sorted(report.counts.items())]
    out.print(", ".join(counts), markup=False)
    if report.stood:
        text = f"the computer stood still {report.stood} times, for {report.stood_s:.1f} s at most"
        out.print(text if report.ok else f"{text}: run this seed again", markup=False)
    if report.odd:
        said = sum(report.odd.values())
        out.print(f"{len(report.odd)} odd inputs were sent, {said} times: {', '.join(report.odd)}", markup=False)
    for finding in verdict.findings:
        where = f"{finding.asset} {finding.signal} at {finding.time_ns} ({report.kind_at(finding.time_ns)})"
        out.print(f"{finding.what}: {where} {finding.detail}", markup=False)
    for spool, gaps in report.missing.items():
        out.print(f"{spool}: accepted and nowhere: {gaps}", markup=False)
    out.print("nothing is lost" if report.ok else "NOT ok", style="green" if report.ok else "red")


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report for programs."""
    verdict = report.verdict
    return {
        "ok": report.ok,
        "seed": report.seed,
        "faults": [
            {
                "kind": event.kind,
                "detail": event.detail,
                "start_ns": event.start_ns,
                "end_ns": event.end_ns,
                "back_s": event.back_s,
                "hung": event.hung,
            }
            for event in report.events
        ],
        "skipped": report.skipped,
        "table": [dict(zip(HEADER, row, strict=True)) for row in report.rows()],
        "produced": verdict.produced,
        "equal": verdict.equal,
        "explained": dict(verdict.explained),
        "repeated": verdict.repeated,
        "odd": report.odd,
        "counts": report.counts,
        "stood": report.stood,
        "stood_s": round(report.stood_s, 2),
        "wrong": dict(verdict.wrong),
        "findings": [finding._asdict() for finding in verdict.findings],
        "missing_numbers": report.missing,
    }
