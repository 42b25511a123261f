"""`shopfloor evaluate`: how good is the diagnosis?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from shopfloor.errors import ConfigurationError
from shopfloor.output import out, print_json

_SEEDS: Final = 3

Jobs = Annotated[int, typer.Option(min=1, help="How many processes.")]

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of each case.")] = _SEEDS,
    tuning: Annotated[bool, typer.Option(help="Seeds for writing rules, which the table does not use.")] = False,
    asset: Annotated[list[str] | None, typer.Option(help="Only this kind of machine, for example robot.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this fault, signal, or way to lie, for example spike.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="One seed, one load, one severity, days instead of weeks.")] = False,
    jobs: Jobs = 2,
    minutes: Annotated[float, typer.Option(min=0.0, help="Stop then, and score what was tried; 0: 30, or 3.")] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: the score.")] = False,
    document: Annotated[
        Path | None, typer.Option("--write", help="Write the tables into this document, for example docs/diagnosis.md.")
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="A folder of recordings of bearings, instead of simulated machines.")
    ] = None,
    description: Annotated[
        Path | None, typer.Option(help="What those recordings are; without it recordings.yaml in the folder.")
    ] = None,
) -> None:
    """Try the diagnosis on simulated machines with known faults, and print how good it is.

    A line on standard error tells how far it is. It takes at most half an hour, with --quick three minutes, unless
    --minutes says otherwise; the cases come in an order by chance, and it says how many of them there was time for.
    """
    # what all of this is made of takes a second to import, which no other command needs
    from shopfloor.evaluate import seeds as seed_sets  # noqa: PLC0415
    from shopfloor.evaluate.asset import KINDS  # noqa: PLC0415
    from shopfloor.evaluate.case import Choice, cases, modes_of  # noqa: PLC0415
    from shopfloor.evaluate.pool import tried_by  # noqa: PLC0415
    from shopfloor.evaluate.recordings import evaluate_recordings  # noqa: PLC0415
    from shopfloor.evaluate.score import score  # noqa: PLC0415
    from shopfloor.evaluate.table import markdown, write  # noqa: PLC0415

    if recordings is not None:
        judged = evaluate_recordings(recordings, description)
        if json:
            print_json(judged.plain())
        else:
            out.print(judged.markdown(), markup=False)
        return
    if unknown := set(asset or ()) - set(KINDS):
        raise ConfigurationError(f"no kind {min(unknown)!r}", f"have: {', '.join(KINDS)}")
    try:
        chosen = seed_sets.chosen(1 if quick else seeds, tuning=tuning)
    except ValueError as error:
        raise ConfigurationError(str(error), "choose fewer") from error
    wanted = list(cases(Choice(chosen, tuple(asset or ()), tuple(fault or ()), quick)))
    if not wanted:
        known = sorted({code for kind in KINDS for code in modes_of(kind)})
        raise ConfigurationError(f"nothing is called {', '.join(fault or ())}", f"faults: {', '.join(known)}")
    tried = list(tried_by(jobs, wanted, 60.0 * (minutes or (3.0 if quick else 30.0))))
    courses = [course for group, _ in tried for course in group]
    cpu_s = round(sum(seconds for _, seconds in tried))
    result = score(courses)
    head = f"{len(courses)} of {len(wanted)} cases, seeds {chosen[0]} to {chosen[-1]}, {cpu_s} CPU seconds."
    text = f"{head}\n\n{markdown(result)}"
    if document is not None:
        write(document, text)
    if json:
        print_json({"cases": len(courses), "of": len(wanted), "seeds": chosen, "cpu_s": cpu_s, **result.plain()})
    else:
        out.print(text, markup=False)
