"""How good the diagnosis of bearings is on recordings of which the damage is known, beside the plain envelope rule."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import stats

from shopfloor.bearing import known
from shopfloor.errors import ConfigurationError
from shopfloor.recording import read
from vibration.bearing import Orders
from vibration.envelope import squared_envelope_spectrum
from vibration.verdict import diagnose

Numbers = npt.NDArray[np.float64]
Truth = Literal["outer", "inner", "ball", "cage", "healthy"]
Grade = Literal["right", "wrong", "abstained", "missed"]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

DESCRIPTION: Final = "recordings.yaml"
SHIPPED: Final = Path(__file__).parent / DESCRIPTION
_TENTHS: Final = 10
_STANDS_OUT: Final = 4.0  # times the median: the plain rule's limit
_SLIP: Final = 0.02


class _Stated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Orders(_Stated):
    outer: Positive
    inner: Positive
    ball: Positive
    cage: Positive


class Rule(_Stated):
    """What recordings with a `name` like this (a regular expression) are. See recordings.yaml."""

    name: re.Pattern[str]
    rate_hz: Positive | None = None
    rpm: Positive | None = None
    bearing: str = ""
    orders: _Orders | None = None
    truth: Truth | None = None
    truths: Mapping[str, Truth] = Field(default_factory=dict, description="by the group `fault` of the name")
    is_diagnosable: bool = True
    array: str = ""


class Description(_Stated):
    """What a folder of recordings holds. Slices never overlap, and none is drawn by lot."""

    rules: tuple[Rule, ...]
    slice_s: Positive = 1.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and what is known of it."""

    name: str
    values: Numbers
    rate_hz: float
    shaft_hz: float
    orders: Orders
    truth: Truth
    is_diagnosable: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A verdict on a recording or a part of it (`cut`: whole, tenth, slice), beside the truth and the plain rule."""

    name: str
    cut: Literal["whole", "tenth", "slice"]
    truth: Truth
    is_diagnosable: bool
    finding: str | None
    confidence: float
    abstained: bool
    grade: Grade
    plain: str | None
    plain_grade: Grade

    @property
    def group(self) -> str:
        """Return the line of the table in which it counts."""
        kind = "healthy" if self.truth == "healthy" else "diagnosable" if self.is_diagnosable else "not diagnosable"
        return kind if self.cut == "whole" else f"{kind}, {self.cut}s"


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a group were right, and between what shares the truth lies with 95 % (Wilson)."""

    count: int
    right: int
    wrong: int
    abstained: int
    missed: int
    right_low: float
    right_high: float
    wrong_low: float
    wrong_high: float


@dataclass(frozen=True, slots=True)
class Table:
    """All verdicts, and the names of files that no rule describes."""

    rows: tuple[Row, ...]
    left_out: tuple[str, ...]

    def counts(self, *, plain: bool = False) -> dict[str, Count]:
        """Return the counts of each group."""
        groups: dict[str, Counter[str]] = {}
        for row in self.rows:
            groups.setdefault(row.group, Counter())[row.plain_grade if plain else row.grade] += 1
        return {group: _count(grades) for group, grades in groups.items()}

    def plain(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return {
            "recordings": [asdict(row) for row in self.rows if row.cut == "whole"],
            "counts": {group: asdict(count) for group, count in self.counts().items()},
            "plain_rule": {group: asdict(count) for group, count in self.counts(plain=True).items()},
            "left_out": list(self.left_out),
        }

    def markdown(self) -> str:
        """Return it as tables for a page."""
        lines = ["| recording | truth | verdict | confidence | | plain rule |", "|---|---|---|---|---|---|"]
        for row in self.rows:
            if row.cut == "whole":
                verdict = "abstained" if row.abstained else row.finding or "no finding"
                grade = row.grade if row.is_diagnosable else f"{row.grade} (not diagnosable)"
                plain_verdict = row.plain or "no finding"
                cells = (row.name, row.truth, verdict, f"{row.confidence:.2f}", grade, plain_verdict)
                lines.append(f"| {' | '.join(cells)} |")
        lines += [
            "",
            "| | right | wrong | abstained | missed | plain rule: right | wrong |",
            "|---|---|---|---|---|---|---|",
        ]
        plain = self.counts(plain=True)
        for group, count in self.counts().items():
            lines.append(
                f"| {group} | {_share(count.right, count.count, count.right_low, count.right_high)} "
                f"| {_share(count.wrong, count.count, count.wrong_low, count.wrong_high)} "
                f"| {count.abstained} | {count.missed} | {plain[group].right} | {plain[group].wrong} |"
            )
        lines += [f"\nLeft out, as no rule describes them: {', '.join(self.left_out)}"] * bool(self.left_out)
        return "\n".join(lines)


def evaluate_recordings(folder: Path, description: Path | None = None) -> Table:
    """Diagnose all recordings under `folder`, healthy ones also in tenths, all also in slices side by side.

    Their description is `description`, or recordings.yaml in the folder, or the one that ships. Raise
    ConfigurationError for a folder or description that cannot be used.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder", "name the folder that holds the recordings")
    described = _description(description or (folder / DESCRIPTION if (folder / DESCRIPTION).exists() else SHIPPED))
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in {".npz", ".npy"})
    rows: list[Row] = []
    left_out = []
    for file in files:
        recording = _recording(file, described.rules)
        if recording is None:
            left_out.append(str(file.relative_to(folder)))
        else:
            rows += _rows(recording, described.slice_s)
    if not rows:
        raise ConfigurationError(
            f"no recording in {folder} is described", f"write {DESCRIPTION} there; docs/diagnosis.md says how"
        )
    return Table(tuple(rows), tuple(left_out))


def _description(path: Path) -> Description:
    try:
        return Description.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        hint = "docs/diagnosis.md has the keys"
        if {"overlap", "split"} & set(map(str, first["loc"])):
            hint = "slices that overlap, or are drawn by lot, are the same data twice: they stand side by side here"
        raise ConfigurationError(f"{path}: {where}: {first['msg']}", hint) from error


def _recording(file: Path, rules: Sequence[Rule]) -> Recording | None:
    for rule in rules:
        if found := rule.name.fullmatch(file.stem):
            said = found.groupdict()
            rate_hz = rule.rate_hz or 1000.0 * float(said.get("khz") or 0.0)
            rpm = rule.rpm or float(said.get("rpm") or 0.0)
            truth = rule.truth or rule.truths.get(said.get("fault") or "")
            if not (rate_hz and rpm and truth and (rule.bearing or rule.orders)):
                raise ConfigurationError(
                    f"{file.name}: the rule {rule.name.pattern!r} leaves its rate, rpm, bearing or truth open",
                    "docs/diagnosis.md has the keys",
                )
            return Recording(
                name=file.stem,
                values=read(file, rule.array),
                rate_hz=rate_hz,
                shaft_hz=rpm / 60.0,
                orders=Orders(**rule.orders.model_dump()) if rule.orders else known(rule.bearing),
                truth=truth,
                is_diagnosable=rule.is_diagnosable,
            )
    return None


def _rows(recording: Recording, slice_s: float) -> Iterator[Row]:
    values = recording.values
    yield _row(recording, values, "whole")
    if recording.truth == "healthy":
        for part in np.array_split(values, _TENTHS):
            yield _row(recording, part, "tenth")
    length = round(slice_s * recording.rate_hz)
    for start in range(0, len(values) - length + 1, length):
        yield _row(recording, values[start : start + length], "slice")


def _row(recording: Recording, values: Numbers, cut: Literal["whole", "tenth", "slice"]) -> Row:
    truth = recording.truth
    verdict = diagnose(values, recording.rate_hz, recording.shaft_hz, recording.orders)
    plain = plain_rule(values, recording.rate_hz, recording.shaft_hz, recording.orders)
    return Row(
        name=recording.name,
        cut=cut,
        truth=truth,
        is_diagnosable=recording.is_diagnosable,
        finding=verdict.finding,
        confidence=verdict.confidence,
        abstained=verdict.abstained,
        grade="abstained" if verdict.abstained else _grade(verdict.finding, truth),
        plain=plain,
        plain_grade=_grade(plain, truth),
    )


def _grade(finding: str | None, truth: Truth) -> Grade:
    if finding == truth or (finding is None and truth == "healthy"):
        return "right"
    return "missed" if finding is None else "wrong"


def plain_rule(values: Numbers, rate_hz: float, shaft_hz: float, orders: Orders) -> str | None:
    """Return the part whose line is the highest in the envelope of the whole band, within 2 %.

    The rule of most monitors, here as a baseline. A line must have four times the median around it.
    """
    envelope = squared_envelope_spectrum(values, rate_hz)
    heights = {}
    parts = {"outer": orders.outer, "inner": orders.inner, "ball": 2.0 * orders.ball, "cage": orders.cage}
    for part, order in parts.items():
        place = order * shaft_hz / envelope.step_hz
        near = envelope.amplitude[int(place / 2.0) : math.ceil(place * 1.5)]
        line = float(
            envelope.amplitude[int(place * (1.0 - _SLIP)) : math.ceil(place * (1.0 + _SLIP)) + 1].max(initial=0.0)
        )
        if len(near) and line > _STANDS_OUT * float(np.median(near)):
            heights[part] = line
    return max(heights, key=lambda part: heights[part], default=None)


def _count(grades: Counter[str]) -> Count:
    count = grades.total()
    right, wrong = (
        stats.binomtest(grades[grade], count).proportion_ci(method="wilson") for grade in ("right", "wrong")
    )
    return Count(
        count=count,
        right=grades["right"],
        wrong=grades["wrong"],
        abstained=grades["abstained"],
        missed=grades["missed"],
        right_low=float(right.low),
        right_high=float(right.high),
        wrong_low=float(wrong.low),
        wrong_high=float(wrong.high),
    )


def _share(number: int, count: int, low: float, high: float) -> str:
    return f"{number} of {count} ({low:.0%} to {high:.0%})"
