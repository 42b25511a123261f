"""What a diagnosis says: findings in order of rank, each with what speaks for and against it, or none and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Level = Literal["machine", "sensor", "link", "process"]
"""Where the cause is: in the machine, in a sensor or its cable, on the way of its data, in the material or the load."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(_Said):
    """One thing that was seen, or that should have been seen and was not.

    `what` is a key of words (`above`, `below`, `rising`, `flat`, `line`, `alarm` …); `signal`, `sensor` or `event` is
    where; `value` and `expected` are in `unit`, `sigmas` how many standard deviations lie between them. `line` is the
    part of a bearing (outer, inner, ball, cage) at whose frequency a line is, or is not.
    `weight` is the natural logarithm of a likelihood ratio: above 0 it speaks for the finding, below 0 against it.
    """

    what: str
    signal: str = ""
    sensor: str = ""
    block: str = ""
    event: str = ""
    line: str = ""
    start_ns: int = 0
    end_ns: int = 0
    value: float | None = None
    expected: float | None = None
    unit: str = ""
    sigmas: float | None = None
    weight: float = 0.0


class Life(_Said):
    """Remaining useful life in hours from the end of the window: the median and an interval of `level`."""

    hours: float
    low_hours: float
    high_hours: float
    level: Share = 0.8


class Finding(_Said):
    """One explanation of what was seen. `rule` and `version` say which rule with which parameters gave it."""

    fault: str = Field(description="a key of words, for example spindle_bearing_outer")
    component: str
    level: Level
    rule: str
    version: int
    confidence: Share
    urgency: Literal["now", "shift", "days", "weeks", "watch"]
    since_ns: int | None = Field(None, description="since when it shows; None: longer than the window")
    evidence: tuple[Evidence, ...] = ()
    against: tuple[Evidence, ...] = ()
    life: Life | None = None


class Report(_Said):
    """What a diagnosis of one asset at one time says; `findings` are in order of confidence.

    No finding: `looked_at` says which rules had what they need, `missing` what the others lacked. `abstained` is a key
    of words when no verdict can be given (learning, no_data, little_data, too_few_blocks …).
    """

    asset: str
    start_ns: int
    end_ns: int
    findings: tuple[Finding, ...] = ()
    looked_at: tuple[str, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = Field({}, description="signals or sensors, by rule")
    abstained: str = ""
    baseline: str = Field("", description="the id of the baseline that it was compared with; empty: none")
