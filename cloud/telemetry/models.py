"""The shapes of the answers about samples: columns, since they are half the size and ten times as fast as rows."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from cloud.registry.kind import Condition
from cloud.registry.state import Standing, WhyView

Value = bool | int | float | str | None
Integers = Literal["number", "text"]
AskIntegers = Annotated[
    Integers,
    Query(description="text: whole numbers beyond ±(2^53 - 1) come as text, since JavaScript loses their last digits"),
]
Resolution = Literal["raw", "minute", "mixed"]


class LastColumns(BaseModel):
    """The newest sample of each series, as columns of equal length."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asset": ["cnc-01"],
                    "signal": ["spindle_speed"],
                    "value": [1200.5],
                    "unit": ["rpm"],
                    "quality": [192],
                    "time": ["2026-11-23T08:00:00.250000000Z"],
                    "age_s": [0.31],
                }
            ]
        }
    )

    asset: list[str]
    signal: list[str]
    value: list[Value] = Field(
        description="number, boolean or text; null: the source had no value. Whole numbers have all their 64 bits"
    )
    unit: list[str]
    quality: list[int] = Field(
        description="192 good, 500 stale, 64 uncertain, 0 bad; 512 more: its time is that of arrival"
    )
    status: list[int | None] | None = Field(
        default=None, description="the source's own status (OPC UA StatusCode); absent where no sample has one"
    )
    time: list[str] = Field(description="ISO 8601, UTC, with ns")
    age_s: list[float] = Field(description="now less `time`; below 0 when the machine's clock is ahead of ours")


class RawSeries(BaseModel):
    """Samples of a signal as columns of equal length, in order of time."""

    kind: Literal["raw"]
    signal: str = Field(examples=["program"])
    unit: str
    time: list[str]
    value: list[Value] = Field(description="as in the last values")
    quality: list[int]
    status: list[int | None] | None = Field(
        default=None, description="the source's own status (OPC UA StatusCode); absent where no sample has one"
    )


class SeriesColumns(BaseModel):
    """Series that are stored, as columns of equal length; `announced`: whether the asset still has the signal."""

    asset: list[str]
    signal: list[str]
    kind: list[str]
    site: list[str]
    area: list[str]
    line: list[str]
    announced: list[bool]


class BucketSeries(BaseModel):
    """Numbers of a signal per bucket, as columns of equal length, in order of time; empty buckets are absent."""

    kind: Literal["buckets"]
    signal: str = Field(examples=["spindle_speed"])
    unit: str
    time: list[str] = Field(description="start of the bucket")
    min: list[float]
    mean: list[float]
    max: list[float]
    last: list[float] = Field(description="the bucket's newest number: it holds until the next bucket that there is")
    count: list[int]


class History(BaseModel):
    """The history of signals of one asset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asset": "cnc-01",
                    "start": "2026-11-23T07:00:00.000000000Z",
                    "end": "2026-11-23T08:00:00.000000000Z",
                    "bucket_s": 60.0,
                    "resolution": "raw",
                    "raw_since": None,
                    "series": [
                        {
                            "kind": "buckets",
                            "signal": "spindle_speed",
                            "unit": "rpm",
                            "time": ["2026-11-23T07:00:00.000000000Z"],
                            "min": [1180.0],
                            "mean": [1199.2],
                            "max": [1210.5],
                            "last": [1201.0],
                            "count": [600],
                        }
                    ],
                }
            ]
        }
    )

    asset: str
    start: str
    end: str
    bucket_s: float | None = Field(
        description="width of a bucket, in whole minutes where there is no more than minutes; null for raw samples"
    )
    resolution: Resolution = Field(
        description="what there is in this time: raw samples, minutes, or minutes up to `raw_since` and raw samples "
        "from there on. Minutes show in buckets alone: without `points` there is nothing of them in `series`"
    )
    raw_since: str | None = Field(description="where raw samples begin, when that is after `start`")
    series: list[Annotated[BucketSeries | RawSeries, Field(discriminator="kind")]] = Field(
        description="in the order asked for; a text signal is always raw, of minutes the newest text, at their start"
    )


class Retention(BaseModel):
    """How long samples and their minutes are kept, in days; 0: for ever."""

    raw_days: int = Field(examples=[30])
    minute_days: int = Field(examples=[365])
    raw_since: str = Field(
        description="where raw samples begin; of what was before there are minutes",
        examples=["2026-10-24T00:00:00.000000000Z"],
    )


class LiveValueView(BaseModel):
    """A live value."""

    value: Value
    quality: int
    time: str
    status: int | None = Field(default=None, description="the source's own status; absent where it said none")


class StateEvent(BaseModel):
    """The data of an event `state` of the live stream: what changed of an asset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "asset": "cnc-01",
                    "online": True,
                    "last_seen": "2026-11-23T08:00:00.500000000Z",
                    "last_data": "2026-11-23T08:00:00.250000000Z",
                    "state_signal": "execution",
                    "state": "active",
                    "condition": "running",
                    "standing": "running",
                    "fault": None,
                    "why": None,
                    "signals": {
                        "spindle_speed": {"value": 1200.5, "quality": 192, "time": "2026-11-23T08:00:00.250000000Z"}
                    },
                }
            ]
        }
    )

    asset: str
    online: bool
    last_seen: str | None = Field(
        description="when its gateway last had something from it, or the word of its edge node that it is there"
    )
    last_data: str | None = Field(None, description="when there was last anything new of it")
    state_signal: str | None = Field(description="as in the status of an asset, and so the five that follow")
    state: str | None
    condition: Condition
    standing: Standing
    fault: str | None
    why: WhyView | None
    signals: dict[str, LiveValueView]
