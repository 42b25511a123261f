"""The fault desk: break and repair simulated machines, and see what is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.auth.accounts import Principal
from cloud.auth.rights import Action
from cloud.deps import GetParts, Now, Reach, need, scope_needed
from cloud.parts import Parts
from cloud.problems import Code, Problem, responses
from cloud.registry.routes import AssetPath
from cloud.telemetry.times import format_time
from cloud.training.trainer import RefusedError, Trainer, TrainerError
from contract.text import Line

router = APIRouter(prefix="/training", tags=["training"])

LONGEST_GROWTH_S: Final = 30 * 86_400.0
_log = structlog.get_logger(__name__)

ScenarioPath = Annotated[str, Path(pattern=r"^[a-z0-9_]{1,64}$", examples=["bearing"])]
May = Annotated[Principal, need(Action.INJECT)]


class Planted(BaseModel):
    """A fault that is in a simulated machine from the start, so that there is something to find."""

    asset: str = Field(examples=["cnc-01"])
    fault: str = Field(examples=["spindle_bearing_outer"])


class TrainingView(BaseModel):
    """Whether faults can be put in here."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trainer": False, "planted": None}]})

    trainer: bool = Field(description="there are simulated machines that take faults")
    planted: Planted | None = Field(description="what the demo put in by itself")


class FaultMode(BaseModel):
    """A fault that a machine can have, and how far it is."""

    fault: str = Field(examples=["spindle_bearing_outer"])
    component: str = Field(examples=["spindle front bearing"])
    does: str = Field(description="what happens, in one sentence")
    alarm: str = Field(description="what the controller tells when it is complete; empty: nothing")
    severity: float = Field(description="0: it is not there; 1: functional failure", examples=[0.2])
    stage: Literal["none", "incipient", "developing", "severe", "failed"]
    since: str | None = Field(description="when it began (ISO 8601, UTC); null: it is not there")


class LyingSensor(BaseModel):
    """A sensor that does not say what is so."""

    signal: str = Field(examples=["head_temperature"])
    mode: Literal["stuck", "spike", "drift", "dropout"]
    since: str


class BadLink(BaseModel):
    """A disturbance on the way of a machine's data."""

    mode: Literal["silent", "loss", "delay", "duplicate"]
    since: str


class SimulatedMachine(BaseModel):
    """What is so of a simulated machine, whatever it tells."""

    asset: str = Field(examples=["cnc-01"])
    kind: str = Field(examples=["cnc"])
    alarm: str = Field(description="empty: none")
    faults: list[FaultMode] = Field(description="all that it can have")
    sensors: list[LyingSensor]
    links: list[BadLink]
    signals: list[str] = Field(description="those whose sensor can lie")


class Scenario(BaseModel):
    """Several things that happen at their times."""

    scenario: str = Field(examples=["bearing"])
    names: dict[str, str]
    assets: list[str] = Field(description="the machines that it touches", examples=[["cnc-01"]])
    lasts_s: float = Field(description="when its last event comes")
    running: bool
    lacks: list[str] = Field(description="what it needs and this factory has not: it cannot be begun")


class FaultWish(BaseModel):
    """A fault that begins now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"fault": "spindle_bearing_outer"}]})

    fault: str = Field(pattern=r"^[a-z0-9_]{1,64}$", examples=["spindle_bearing_outer"])
    limit: float = Field(1.0, gt=0, le=1, description="how bad it becomes; 1 is functional failure")
    growth_s: float = Field(600.0, ge=0, le=LONGEST_GROWTH_S, description="simulated seconds until then")


class SensorWish(BaseModel):
    """A sensor that lies from now on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"signal": "head_temperature", "mode": "stuck"}]}
    )

    signal: Line = Field(max_length=128, examples=["head_temperature"])
    mode: Literal["none", "stuck", "spike", "drift", "dropout"] = Field(description="none: it is repaired")
    size: float = Field(0.0, ge=-1e9, le=1e9, description="of a spike, or of a drift in an hour, in the signal's unit")
    rate_hz: float = Field(0.1, gt=0, le=10, description="how often a spike or a drop-out begins")


class LinkWish(BaseModel):
    """A link that is bad from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"mode": "silent"}]})

    mode: Literal["none", "silent", "loss", "delay", "duplicate"] = Field(description="none: all is well")
    duration_s: float = Field(300.0, ge=0.1, le=86_400, description="it ends by itself")
    probability: float = Field(0.3, ge=0, le=1, description="of a message to be lost or doubled")
    delay_s: float = Field(2.0, ge=0, le=600)


@contextmanager
def _trainer(parts: Parts) -> Iterator[Trainer]:
    if not parts.settings.trainer_url:
        raise Problem(
            404,
            "there are no simulated machines that take faults",
            "`shopfloor demo` has some; SHOPFLOOR_TRAINER_URL names the control address of simulators",
            code=Code.NO_TRAINER,
        )
    try:
        yield Trainer(parts.settings.trainer_url)
    except RefusedError as error:
        raise Problem(
            409,
            f"the simulators refuse it: {error}",
            "see GET /api/v1/training/machines for what there is",
            code=Code.TRAINER_REFUSED,
            args={"what": str(error)},
        ) from error
    except TrainerError as error:
        raise Problem(
            503,
            f"the simulators do not answer: {error}",
            "are they running? see their log",
            code=Code.TRAINER_AWAY,
            args={"what": str(error)},
        ) from error


@router.get("", dependencies=[need(Action.READ)], responses=responses(401, 403))
def get_training(parts: GetParts, reach: Reach) -> TrainingView:
    """Return whether there is a trainer's desk, and which fault the demo put in by itself."""
    asset, _, fault = parts.settings.planted_fault.partition("/")
    is_told = fault != "" and (reach is None or asset in reach)
    return TrainingView(
        trainer=parts.settings.trainer_url != "", planted=Planted(asset=asset, fault=fault) if is_told else None
    )


@router.get("/machines", dependencies=[need(Action.INJECT)], responses=responses(401, 403, 404, 503))
def list_simulated_machines(parts: GetParts, reach: Reach, now: Now) -> list[SimulatedMachine]:
    """Return what is so of each simulated machine, and what can be put into it."""
    with _trainer(parts) as trainer:
        modes, machines = trainer.modes(), trainer.machines()
    now_ns = int(now.timestamp() * 1e6) * 1000
    return [
        _machine(asset, machines[asset], modes[asset], now_ns) for asset in machines if reach is None or asset in reach
    ]


def _machine(asset: str, so: Mapping[str, Any], modes: list[dict[str, Any]], now_ns: int) -> SimulatedMachine:
    def since(onset_s: float | None) -> str | None:
        # the simulators of a demo go as fast as a clock: so long ago there is so long ago here
        return None if onset_s is None else format_time(now_ns - int((so["time_s"] - onset_s) * 1e9))

    shown = ("fault", "component", "does", "alarm", "severity", "stage")
    lying, disturbed = so["lying_since_s"], so["disturbed_since_s"]
    return SimulatedMachine.model_validate(
        {
            "asset": asset,
            "kind": so["kind"],
            "alarm": so["values"].get("alarm") or "",
            "faults": [{key: mode[key] for key in shown} | {"since": since(mode["onset_s"])} for mode in modes],
            "sensors": [
                {"signal": name, "mode": mode, "since": since(lying[name])}
                for name, mode in so["sensor_faults"].items()
            ],
            "links": [{"mode": mode, "since": since(disturbed[mode])} for mode in disturbed],
            "signals": [name for name, value in so["values"].items() if type(value) in (int, float)],
        }
    )


@router.get("/scenarios", dependencies=[need(Action.INJECT)], responses=responses(401, 403, 404, 503))
def list_scenarios(parts: GetParts, reach: Reach) -> list[Scenario]:
    """Return the scenarios that touch only machines in scope, and which of them run."""
    with _trainer(parts) as trainer:
        scenarios = [Scenario.model_validate(each) for each in trainer.scenarios()]
    return [each for each in scenarios if _is_within(reach, each)]


def _is_within(reach: frozenset[str] | None, scenario: Scenario) -> bool:
    return reach is None or reach.issuperset(scenario.assets)


@router.post("/assets/{asset}/faults", status_code=204, responses=responses(401, 403, 404, 409, 503))
def inject_fault(parts: GetParts, me: May, asset: AssetPath, wish: FaultWish) -> None:
    """Let a fault of a machine begin now; it grows."""
    with _trainer(parts) as trainer:
        trainer.fault(asset, **wish.model_dump())
    _log.info("a fault was put in", asset=asset, by=me.username, **wish.model_dump())


@router.post("/assets/{asset}/sensor_faults", status_code=204, responses=responses(401, 403, 404, 409, 503))
def break_sensor(parts: GetParts, me: May, asset: AssetPath, wish: SensorWish) -> None:
    """Let a sensor lie from now on, or repair it."""
    with _trainer(parts) as trainer:
        trainer.sensor_fault(asset, **wish.model_dump())
    _log.info("a sensor was made to lie", asset=asset, by=me.username, **wish.model_dump())


@router.post("/assets/{asset}/link_faults", status_code=204, responses=responses(401, 403, 404, 409, 503))
def break_link(parts: GetParts, me: May, asset: AssetPath, wish: LinkWish) -> None:
    """Disturb the way of a machine's data from now on, or repair it."""
    with _trainer(parts) as trainer:
        trainer.link_fault(asset, **wish.model_dump())
    _log.info("a link was disturbed", asset=asset, by=me.username, **wish.model_dump())


@router.delete("/assets/{asset}/faults", status_code=204, responses=responses(401, 403, 404, 409, 503))
def repair(
    parts: GetParts,
    me: May,
    asset: AssetPath,
    fault: Annotated[str, Query(max_length=64, description="only this one; none: all, of sensors and links too")] = "",
) -> None:
    """Repair a machine. Its alarm is reset once nothing that it measures is beyond its limit."""
    with _trainer(parts) as trainer:
        so = trainer.machine(asset)
        for code in [fault] if fault else so["faults"]:
            trainer.fault(asset, fault=code, clear=True)
        for signal in () if fault else so["sensor_faults"]:
            trainer.sensor_fault(asset, signal=signal, mode="none")
        if so["link_faults"] and not fault:
            trainer.link_fault(asset, mode="none")
    _log.info("a machine was repaired", asset=asset, by=me.username, fault=fault)


@router.post("/scenarios/{scenario}", status_code=204, responses=responses(401, 403, 404, 409, 503))
def begin_scenario(parts: GetParts, me: May, reach: Reach, scenario: ScenarioPath) -> None:
    """Begin a scenario now; every machine that it touches must be in scope."""
    _play(parts, me, reach, scenario, clear=False)
    _log.info("a scenario was begun", scenario=scenario, by=me.username)


@router.delete("/scenarios/{scenario}", status_code=204, responses=responses(401, 403, 404, 409, 503))
def end_scenario(parts: GetParts, me: May, reach: Reach, scenario: ScenarioPath) -> None:
    """Let no more of a scenario happen; what it broke is repaired with the machines."""
    _play(parts, me, reach, scenario, clear=True)
    _log.info("a scenario was ended", scenario=scenario, by=me.username)


def _play(parts: Parts, me: Principal, reach: frozenset[str] | None, scenario: str, *, clear: bool) -> None:
    with _trainer(parts) as trainer:
        known = {each["scenario"]: Scenario.model_validate(each) for each in trainer.scenarios()}
        if scenario in known and not _is_within(reach, known[scenario]):
            raise scope_needed(me)
        trainer.scenario(scenario, clear=clear)
