"""Minutes: what is kept of samples when the raw ones have gone. One bucket, one layout, whoever fills or reads it.

Beside the bucket of raw samples stands one with a point per signal and minute: measurement, tags and field as in the
raw one, one more tag `aggregate` with min, mean, max or count, the time being the minute's start. Text and quality are
not rolled up.
"""

from __future__ import annotations

from typing import Final

AGGREGATES: Final = ("min", "mean", "max", "count")
MINUTE_NS: Final = 60 * 10**9


def minutes_bucket(bucket: str) -> str:
    """Return the name of the bucket of minutes beside one of raw samples."""
    return f"{bucket}_1m"


def minutes_task(bucket: str, org: str) -> str:
    """Return the Flux task that fills the bucket of minutes: every 5 minutes for the last 2 hours of samples.

    A repeat writes the same point again, so that samples that come late count, too; those of a longer outage are
    rolled up by running the task by hand with a longer range.
    """
    target = minutes_bucket(bucket)
    steps = "\n".join(
        f"""data
  |> aggregateWindow(every: 1m, fn: {fn}, timeSrc: "_start", createEmpty: false)
  |> {"toFloat() |> " if fn == "count" else ""}set(key: "aggregate", value: "{fn}")
  |> to(bucket: "{target}", org: "{org}")"""
        for fn in AGGREGATES
    )
    return f"""import "date"

option task = {{name: "{target}", every: 5m, offset: 30s}}

stop = date.truncate(t: now(), unit: 1m)
data = from(bucket: "{bucket}")
  |> range(start: date.sub(d: 2h, from: stop), stop: stop)
  |> filter(fn: (r) => r._measurement !~ /_text$/ and r._field !~ /\\.quality$/)

{steps}
"""
