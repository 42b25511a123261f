"""`shopfloor fault`: break simulated machines, see what is broken, repair them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeAlias

import httpx2
import orjson
import typer

from shopfloor.commands.fault.menu import show, show_now, show_shipped
from shopfloor.errors import RefusedError, UnreachableError
from shopfloor.output import err, out, print_json, table
from shopfloor.ports import TRUTH, port_of

SENSOR_MODES: Final = ("stuck", "spike", "drift", "dropout")
LINK_MODES: Final = ("silent", "loss", "delay", "duplicate")
COLUMNS: Final = ("machine", "fault", "component", "severity", "stage", "onset_s", "age_s")
TIMEOUT_S: Final = 10.0

Row: TypeAlias = dict[str, Any]
Machine = Annotated[str, typer.Argument(help="For example cnc-01.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the truth, when not SHOPFLOOR_PORT + 8.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

app = typer.Typer(
    add_completion=False,
    help="Break the simulated machines of a running demo or `shopfloor simulate`, and repair them. Without a command: "
    "a menu of what can be broken, what each fault does, what to look at and what to type.",
)


class Truth:
    """The simulators' truth at http://127.0.0.1:`port`. Every failure is a CommandError that says what to do."""

    def __init__(self, port: int | None) -> None:
        self.url = f"http://127.0.0.1:{port or port_of(os.environ) + TRUTH}"
        self._client = httpx2.Client(base_url=self.url, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Truth:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> Any:
        """Return what GET answers."""
        with self._answering():
            return _content(self._client.get(path))

    def post(self, path: str, wish: Mapping[str, Any]) -> None:
        """Have a wish fulfilled."""
        with self._answering():
            _content(self._client.post(path, json=dict(wish)))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            raise UnreachableError(
                f"no simulated factory answers at {self.url}",
                "start one with `shopfloor demo` or `shopfloor simulate` (a demo with --plant has none), or set "
                "SHOPFLOOR_PORT or --truth-port to those of the one that runs",
            ) from error
        except (httpx2.HTTPError, orjson.JSONDecodeError) as error:
            raise UnreachableError(
                f"{self.url} does not answer as simulators do: {error or type(error).__name__}",
                "is it the right port? see SHOPFLOOR_PORT and --truth-port",
            ) from error


def _content(response: httpx2.Response) -> Any:
    content = orjson.loads(response.content)
    if not response.is_success:
        raise RefusedError(str(content.get("error", response.reason_phrase)))
    return content


@app.callback(invoke_without_command=True)
def menu(context: typer.Context, *, truth_port: Port = None) -> None:
    """Show the machines, what is broken now, and what can be broken, when no command is given."""
    if context.invoked_subcommand is not None:
        return
    try:
        with Truth(truth_port) as truth:
            modes: dict[str, list[Row]] = truth.get("/faults")
            machines: dict[str, Row] = truth.get("/truth")["machines"]
    except UnreachableError:
        show_shipped()
        raise
    show_now(machines)
    by_kind: dict[str, list[str]] = {}
    for name, machine in machines.items():
        by_kind.setdefault(machine["kind"], []).append(name)
    show(by_kind, {kind: modes[names[0]] for kind, names in by_kind.items()})


@app.command(name="list")
def list_(
    machine: Annotated[str, typer.Argument(help="Only this machine.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Also what is not there: all that can be injected.")] = False,
    truth_port: Port = None,
    json: Json = False,
) -> None:
    """List the faults that are there now: machine, fault, component, severity (0 to 1), stage, onset, age.

    Onset is in simulated seconds since the start.
    """
    with Truth(truth_port) as truth:
        modes: dict[str, list[Row]] = truth.get("/faults")
        state = truth.get("/truth")
    if machine:
        modes = {machine: modes[_known("machine", machine, modes)]}
    rows = [row for name in modes for row in _rows(name, modes[name], state, every=every)]
    if json:
        print_json(rows)
        return
    if rows:
        columns = (*COLUMNS, "does") if every else COLUMNS
        table(columns, [[row[column] for column in columns] for row in rows])
    else:
        err.print("no faults; `shopfloor fault list --all` shows what can be injected", markup=False)


def _rows(machine: str, modes: list[Row], state: Row, *, every: bool) -> Iterator[Row]:
    truth, now_s = state["machines"][machine], state["time_s"]
    for mode in modes:
        onset_s = mode["onset_s"]
        if every or onset_s is not None:
            age_s = None if onset_s is None else round(now_s - onset_s, 3)
            row = {key: mode[key] for key in ("fault", "component", "severity", "stage", "onset_s", "does", "alarm")}
            yield {"machine": machine, **row, "age_s": age_s}
    plain = {"severity": None, "stage": None, "onset_s": None, "age_s": None, "does": None, "alarm": None}
    for signal, kind in truth["sensor_faults"].items():
        yield {"machine": machine, "fault": kind, "component": f"sensor of {signal}", **plain}
    for kind in truth["link_faults"]:
        yield {"machine": machine, "fault": kind, "component": "link", **plain}


@app.command()
def inject(
    machine: Machine,
    fault: Annotated[
        str,
        typer.Argument(
            help="One of `shopfloor fault list MACHINE --all`; of a sensor (with --signal): "
            f"{', '.join(SENSOR_MODES)}; of the link: {', '.join(LINK_MODES)}."
        ),
    ],
    *,
    severity: Annotated[float, typer.Option(min=0.001, max=1, help="How bad it becomes; 1 is failure.")] = 1.0,
    growth: Annotated[float, typer.Option(min=0, help="Simulated seconds until it is that bad.")] = 60.0,
    signal: Annotated[str, typer.Option(help="The signal whose sensor lies.")] = "",
    size: Annotated[float, typer.Option(help="Of a spike, or of a drift in an hour, in the signal's unit.")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="How long the link is bad; until cleared if not given.")
    ] = None,
    truth_port: Port = None,
    json: Json = False,
) -> None:
    """Let a fault begin now. It touches every signal that it physically would, and grows."""
    with Truth(truth_port) as truth:
        modes: dict[str, list[Row]] = truth.get("/faults")
        _known("machine", machine, modes)
        if fault in SENSOR_MODES:
            _known("signal", signal, truth.get(f"/truth/{machine}")["values"])
            wish: Row = {"asset": machine, "signal": signal, "mode": fault, "size": size}
            truth.post("/sensor_faults", wish)
        elif fault in LINK_MODES:
            wish = {"asset": machine, "mode": fault, **({} if seconds is None else {"duration_s": seconds})}
            truth.post("/link_faults", wish)
        else:
            _known("fault", fault, [*(mode["fault"] for mode in modes[machine]), *SENSOR_MODES, *LINK_MODES])
            wish = {"asset": machine, "fault": fault, "growth_s": growth, "limit": severity}
            truth.post("/faults", wish)
    if json:
        print_json(wish)
    elif fault in (*SENSOR_MODES, *LINK_MODES):
        what = f"the sensor of {signal}" if signal else "the link"
        out.print(f"{machine}: {what}: {fault} {_lasting(machine, wish)}", markup=False)
    else:
        out.print(f"{machine}: {fault} grows to {severity:g} within {growth:g} simulated seconds", markup=False)


def _lasting(machine: str, wish: Row) -> str:
    """Return how long a sensor lies or a link is bad."""
    if "duration_s" in wish:
        return f"for {wish['duration_s']:g} s of simulated time"
    return f"until it is cleared: shopfloor fault clear {machine} {wish['mode']}"


@app.command()
def clear(
    machine: Machine,
    fault: Annotated[str, typer.Argument(help="Only this one; without it all of the machine.")] = "",
    *,
    truth_port: Port = None,
    json: Json = False,
) -> None:
    """Repair a machine: its faults, its sensors, its link (which is repaired as a whole).

    What a fault has worn or broken is renewed. An alarm is reset as soon as nothing that the controller measures is
    beyond its limit, and the machine runs on.
    """
    with Truth(truth_port) as truth:
        modes: dict[str, list[Row]] = truth.get("/faults")
        _known("machine", machine, modes)
        state = truth.get(f"/truth/{machine}")
        present = [*state["faults"], *state["sensor_faults"].values(), *state["link_faults"]]
        if fault:
            _known("fault", fault, [*(mode["fault"] for mode in modes[machine]), *SENSOR_MODES, *LINK_MODES])
        if fault and fault not in present:
            have = f"it has {', '.join(present)}" if present else "it has no fault"
            raise RefusedError(f"{machine} has no {fault} now", have)
        for code in (code for code in state["faults"] if fault in ("", code)):
            truth.post("/faults", {"asset": machine, "fault": code, "clear": True})
        for signal in (signal for signal, mode in state["sensor_faults"].items() if fault in ("", mode)):
            truth.post("/sensor_faults", {"asset": machine, "signal": signal, "mode": "none"})
        links = [mode for mode in state["link_faults"] if fault in ("", mode)]
        if links:
            truth.post("/link_faults", {"asset": machine, "mode": "none"})
        alarm = str(state["values"].get("alarm") or "")
        if alarm and not present:
            truth.post("/command", {"asset": machine, "name": "reset"})
    cleared = sorted({*(present if not fault else [fault]), *(state["link_faults"] if links else ())})
    if json:
        print_json({"asset": machine, "cleared": cleared})
        return
    out.print(f"{machine}: " + (f"repaired: {', '.join(cleared)}" if cleared else "it has no fault"), markup=False)
    if alarm and cleared:
        out.print(
            f"the alarm {alarm} ends by itself, and the machine runs on, once its measured values are good",
            markup=False,
        )
    elif alarm:
        out.print(f"the alarm {alarm} is reset", markup=False)


@app.command()
def reset(machine: Machine, *, truth_port: Port = None, json: Json = False) -> None:
    """Reset a machine's alarm as its operator would: while the fault is there it comes back, or is refused."""
    with Truth(truth_port) as truth:
        _known("machine", machine, truth.get("/faults"))
        alarm = str(truth.get(f"/truth/{machine}")["values"].get("alarm") or "")
        if not alarm:
            raise RefusedError(f"{machine} has no alarm now", "`shopfloor fault` shows which machines have one")
        truth.post("/command", {"asset": machine, "name": "reset"})
    if json:
        print_json({"asset": machine, "reset": alarm})
    else:
        out.print(f"{machine}: the alarm {alarm} is reset", markup=False)


def _known(what: str, name: str, known: Iterable[str]) -> str:
    """Return the name; raise RefusedError with the known ones and the nearest when it is not one of them."""
    names = list(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise RefusedError(f"no {what} {name!r}", f"{meant}have: {', '.join(names)}")
