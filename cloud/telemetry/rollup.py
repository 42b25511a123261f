"""Minutes: what is kept of samples when the raw ones have gone. One layout, whichever store, whoever fills or reads it.

In line protocol, in the bucket beside that of raw samples: a point per signal and minute with measurement, tags and
field as in the raw one, and one more tag `aggregate`: min, mean, max, last, sum or count of numbers, the time being the
minute's start. Booleans (0 and 1) and whole numbers are numbers here, in their measurement. Of texts there are `last`,
and `texts`: how many, in the measurement of the numbers, since InfluxDB gives a field one type in a measurement.
Quality and status are not rolled up. A point SINCE says with its time since when there are raw samples, where that is
later than the settings say.
"""

# ruff: noqa: S608  (nothing but numbers and names of our own is put into SQL)

from __future__ import annotations

from typing import Final

MINUTE_NS: Final = 60 * 10**9
DAY_NS: Final = 24 * 60 * MINUTE_NS
NUMBERS: Final = ("min", "mean", "max", "last", "sum", "count")
TEXTS: Final = ("last", "texts")
SINCE: Final = "raw_since"
"""Measurement and field."""


def horizon(now_ns: int, days: int) -> int:
    """Return the midnight (UTC) before which nothing is kept that is kept for some days; 0: for ever."""
    return max(0, now_ns // DAY_NS - days) * DAY_NS if days else 0


def roll_up(rows: str) -> str:
    """Return the SQL (DuckDB) of the minutes of some samples."""
    return (
        f"SELECT series, time // {MINUTE_NS} * {MINUTE_NS} AS time, min(value) AS min, sum(value) AS sum, "
        "max(value) AS max, arg_max(value, time) AS last, "
        "arg_max(text, time) FILTER (WHERE value IS NULL) AS text, count(*) AS count "
        f"FROM ({rows}) WHERE value IS NOT NULL OR text IS NOT NULL GROUP BY 1, 2, value IS NULL"
    )


def minutes_bucket(bucket: str) -> str:
    """Return the name of the bucket of minutes beside one of raw samples."""
    return f"{bucket}_1m"


def minutes_task(bucket: str, org: str) -> str:
    """Return the Flux task that fills the bucket of minutes: every 5 minutes for the last 2 hours of samples.

    A repeat writes the same point again, so that samples that come late count, too; see `last_task`.
    """
    task = f'{{name: "{minutes_bucket(bucket)}", every: 5m, offset: 30s}}'
    return flux(bucket, org, "date.sub(d: 2h, from: stop)", "date.truncate(t: now(), unit: 1m)", task)


def last_task(bucket: str, org: str, raw_days: int) -> str:
    """Return the Flux task that rolls up once more, each day, what is about to go: all of it that came late."""
    task = f'{{name: "{minutes_bucket(bucket)}_last", cron: "50 23 * * *"}}'
    # that day and the one after it, so that one run may fail
    stop = f"date.sub(d: {raw_days - 2}d, from: date.truncate(t: now(), unit: 1d))"
    return flux(bucket, org, "date.sub(d: 2d, from: stop)", stop, task)


def flux(bucket: str, org: str, start: str, stop: str, task: str = "") -> str:
    """Return Flux that rolls up the samples from `start` to `stop`, both Flux; `start` may name `stop`."""
    to = f'to(bucket: "{minutes_bucket(bucket)}", org: "{org}")'
    kind = 'regexp.replaceAllString(r: /_(text|bool|int|uint)$/, v: r._measurement, t: "")'
    of_kind = f"map(fn: (r) => ({{r with _measurement: {kind}}}))"
    window = 'aggregateWindow(every: 1m, fn: {fn}, timeSrc: "_start", createEmpty: false)'
    numbers = "\n".join(
        f'numbers |> {window.format(fn=name)} |> toFloat() |> set(key: "aggregate", value: "{name}") |> {to}\n'
        f'exact |> {window.format(fn=name)} |> toFloat() |> set(key: "aggregate", value: "{name}") |> {of_kind} |> {to}'
        for name in NUMBERS
    )
    option = f"option task = {task}\n" if task else ""
    return f"""import "date"
import "regexp"
{option}
stop = {stop}
data = from(bucket: "{bucket}") |> range(start: {start}, stop: stop)
  |> filter(fn: (r) => r._field !~ /\\.(quality|status)$/)
numbers = data |> filter(fn: (r) => r._measurement !~ /_(text|bool|int|uint)$/)
exact = data |> filter(fn: (r) => r._measurement =~ /_(bool|int|uint)$/) |> toFloat()
texts = data |> filter(fn: (r) => r._measurement =~ /_text$/)

{numbers}
texts |> {window.format(fn="last")} |> set(key: "aggregate", value: "last") |> {to}
texts |> {window.format(fn="count")} |> toFloat() |> set(key: "aggregate", value: "texts") |> {of_kind} |> {to}
"""
