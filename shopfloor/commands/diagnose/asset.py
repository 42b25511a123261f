"""`shopfloor diagnose asset` and `verify`: what the platform says of a machine, and whether it comes out again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from shopfloor import known
from shopfloor.api import Api, connect
from shopfloor.clock import asked, shown
from shopfloor.errors import CommandError, ConfigurationError
from shopfloor.output import Utc, out, print_json, table

_PAGE: Final = 200
_ABSTAINED: Final = {
    "learning": "what is usual for it is still being learned",
    "no_baseline": "what is usual for it is not learned yet",
    "no_data": "there are no samples of that time",
    "little_data": "there are too few samples of that time: two minutes are needed",
}

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def asset(
    asset: Annotated[str, typer.Argument(help="For example cnc-01.")],
    *,
    at: Annotated[str, typer.Option(help="The end of what is looked at: now, -2h, or a time.")] = "now",
    hours: Annotated[float, typer.Option(min=0.1, max=48, help="How much of the past is looked at.")] = 2.0,
    utc: Utc = False,
    json: Json = False,
) -> None:
    """Say what is wrong with a machine, now or at a time in the past, how sure that is, why, and what to do."""
    with connect() as api:
        known.check_assets(api, [asset])
        end, _ = asked("--at", at, utc=utc)
        report = api.get(f"diagnosis/assets/{asset}", [("at", end), ("hours", str(hours))])
    if json:
        print_json(report)
        return
    start, end = (shown(report["window"][name], utc=utc) for name in ("start", "end"))
    out.print(f"{asset}, {start} to {end}", markup=False, style="bold")
    if report["abstained"]:
        why = _ABSTAINED.get(report["abstained"], report["abstained"])
        learned = f" ({report['learned']:.0%})" if report["learned"] < 1 else ""
        what = "only what needs no comparison is judged" if report["findings"] else "no verdict"
        out.print(f"{what}: {why}{learned}", markup=False)
    elif not report["findings"]:
        out.print("nothing is found", markup=False)
    for finding in report["findings"]:
        _print_finding(finding, utc=utc)
    out.print(f"looked at: {', '.join(report['looked_at']) or 'nothing'}", markup=False)
    for rule, lacks in report["missing"].items():
        out.print(f"not looked at: {rule}, which needs {', '.join(lacks)}", markup=False)


def _print_finding(finding: dict[str, Any], *, utc: bool) -> None:
    words = finding["words"]["en"]
    out.print(f"\n{finding['confidence']:.0%} {words['title']} ({finding['component']})", markup=False, style="bold")
    told = (
        ("urgency", finding["urgency"]),
        ("since", finding["since"] and shown(finding["since"], utc=utc)),
        ("remaining life", _life(finding["life"])),
        ("do", words["action"]),
        ("spare part", words["spare"]),
        ("safety", words["safety"]),
    )
    for name, text in told:
        if text:
            out.print(f"  {name}: {text}", markup=False)
    evidence = [*finding["evidence"], *finding["against"]]
    if evidence:
        table(("speaks", "what", "where", "value", "usual", "unit"), [_row(each) for each in evidence], utc=utc)


def _life(life: dict[str, float] | None) -> str:
    return "" if life is None else f"{life['hours']:.3g} h ({life['low_hours']:.3g} to {life['high_hours']:.3g} h)"


def _row(evidence: dict[str, Any]) -> tuple[Any, ...]:
    where = evidence["signal"] or evidence["sensor"] or evidence["event"] or evidence["block"]
    numbers = evidence["value"], evidence["expected"], evidence["unit"]
    return f"{evidence['weight']:+.1f}", evidence["what"], where, *numbers


def verify(
    findings: Annotated[list[str] | None, typer.Argument(help="Ids of findings.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every finding that there is.")] = False,
    json: Json = False,
) -> None:
    """Compute findings once more from what is stored, and say whether they come out the same.

    Exit code 1: one does not, though its data are what they were.
    """
    if bool(findings) == every:
        raise ConfigurationError("which findings?", "name their ids, or say --all, not both")
    differing = 0
    with connect() as api:
        for id_ in _ids(api) if every else findings or ():
            told = api.get(f"diagnosis/findings/{id_}/verify")
            differing += told["data"] == "available" and not told["agrees"]
            if json:
                print_json(told)
            else:
                out.print(f"{id_} {_outcome(told)}", markup=False)
                for each in told["differences"]:
                    out.print(f"  {each}", markup=False)
    if differing:
        raise CommandError(f"{differing} of the findings did not come out the same", "see what differs above")


def _ids(api: Api) -> Iterator[str]:
    after = ""
    while True:
        page = api.get("diagnosis/findings", [("limit", _PAGE), ("after", after)])
        yield from (each["id"] for each in page["findings"])
        after = page["after"]
        if not after:
            return


def _outcome(told: dict[str, Any]) -> str:
    if told["data"] == "expired":
        return "its data are not stored any more"
    data = "its data have changed since: " if told["data"] == "changed" else ""
    if told["same"] is None:
        return f"{data}it cannot be computed"
    return data + ("the same" if told["same"] else "the same within 1e-6" if told["agrees"] else "another result")
