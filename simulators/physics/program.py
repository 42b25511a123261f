"""NC programs as blocks with geometry and cut, and the motion along them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["tool", "spindle", "rapid", "cut", "dwell", "clamp", "unclamp", "end"]
Point = tuple[float, float, float]

RAPID_MM_S: Final = 500.0
ACCELERATION_MM_S2: Final = 3000.0


@dataclass(frozen=True, slots=True)
class Block:
    """One block of an NC program.

    Its line number and text, where it goes (mm), feed (mm/min), cut (mm), spindle (rpm).
    """

    line: int
    text: str
    kind: Kind
    target: Point | None = None
    feed_mm_min: float = 0.0
    depth_mm: float = 0.0
    width_mm: float = 0.0
    rpm: float = 0.0
    tool: int = 0
    seconds: float = 0.0
    finish: Literal["", "size", "surface"] = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A part program: its name, its blocks, the nominal size it makes (mm) and its tolerance (± mm)."""

    name: str
    part: str
    blocks: tuple[Block, ...]
    size_mm: float
    tolerance_mm: float
    stock_kg: float
    part_kg: float


@dataclass(slots=True)
class Motion:
    """A move from one point to another with a trapezoidal speed: `seconds` long at 100 % override."""

    start: Point
    end: Point
    length_mm: float
    speed_mm_s: float
    seconds: float
    ramp_s: float

    @classmethod
    def plan(cls, start: Point, end: Point, speed_mm_s: float) -> Motion:
        """Plan a move; a short one never reaches its speed (Biagiotti and Melchiorri, Trajectory Planning, ch. 3.2)."""
        length = math.dist(start, end)
        peak = min(speed_mm_s, math.sqrt(length * ACCELERATION_MM_S2)) if length > 0.0 else 0.0
        ramp = peak / ACCELERATION_MM_S2
        seconds = length / peak + ramp if peak > 0.0 else 0.0
        return cls(start, end, length, peak, seconds, ramp)

    def way_mm(self, time_s: float) -> float:
        """Return how far along the path the tool is, mm, `time_s` after the start."""
        if time_s >= self.seconds:
            return self.length_mm
        if time_s < self.ramp_s:
            return 0.5 * ACCELERATION_MM_S2 * time_s**2
        rest = self.seconds - time_s
        if rest < self.ramp_s:
            return self.length_mm - 0.5 * ACCELERATION_MM_S2 * rest**2
        return self.speed_mm_s * (time_s - 0.5 * self.ramp_s)

    def between(self, start_s: float, end_s: float) -> tuple[Point, float, float]:
        """Return the point at `end_s`, the mean speed (mm/s) and the acceleration (mm/s²) since `start_s`."""
        if end_s <= start_s or self.length_mm <= 0.0:
            return self.point(self.way_mm(end_s)), 0.0, 0.0
        way = self.way_mm(end_s)
        speed = (way - self.way_mm(start_s)) / (end_s - start_s)
        middle = 0.5 * (start_s + end_s)
        acceleration = 0.0
        if middle < self.ramp_s:
            acceleration = ACCELERATION_MM_S2
        elif middle > self.seconds - self.ramp_s:
            acceleration = -ACCELERATION_MM_S2
        return self.point(way), speed, acceleration

    def point(self, way_mm: float) -> Point:
        """Return the point after `way_mm`."""
        share = way_mm / self.length_mm if self.length_mm > 0.0 else 1.0
        (x0, y0, z0), (x1, y1, z1) = self.start, self.end
        return (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share, z0 + (z1 - z0) * share)

    @property
    def direction(self) -> Point:
        """Return the unit vector of the move."""
        if self.length_mm <= 0.0:
            return (0.0, 0.0, 0.0)
        (x0, y0, z0), (x1, y1, z1) = self.start, self.end
        return ((x1 - x0) / self.length_mm, (y1 - y0) / self.length_mm, (z1 - z0) / self.length_mm)


class _Writer:
    """Writes blocks as a programmer would, N10 N20 …"""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def add(self, text: str, kind: Kind, **facts: object) -> None:
        line = 10 * (len(self.blocks) + 1)
        self.blocks.append(Block(line, f"N{line} {text}", kind, **facts))  # type: ignore[arg-type]

    def change(self, tool: int, rpm: float) -> None:
        self.add(f"T{tool} M6", "tool", tool=tool, seconds=4.2)
        self.add(f"S{rpm:.0f} M3", "spindle", rpm=rpm)

    def rapid(self, x: float, y: float, z: float) -> None:
        self.add(f"G0 X{x:g} Y{y:g} Z{z:g}", "rapid", target=(x, y, z))

    def cut(self, x: float, y: float, z: float, *cut: float, finish: str = "") -> None:
        feed, depth, width = cut
        self.add(
            f"G1 X{x:g} Y{y:g} Z{z:g} F{feed:g}", "cut", target=(x, y, z), feed_mm_min=feed, depth_mm=depth,
            width_mm=width, finish=finish,
        )  # fmt: skip


def housing() -> Program:
    """Return the program of a bearing housing of C45: face, rough a pocket, finish it to size, chamfer."""
    write = _Writer()
    write.add("M10 (CLAMP)", "clamp", seconds=1.5)
    write.change(1, 1000.0)
    write.rapid(-50.0, 0.0, 20.0)
    for row in range(3):
        y = 20.0 + 40.0 * row
        write.rapid(-50.0, y, 0.0)
        write.cut(250.0, y, 0.0, 750.0, 2.0, 45.0)
        write.rapid(250.0, y, 20.0)
    write.change(2, 3800.0)
    for level in range(1, 4):
        write.rapid(20.0, 20.0, 5.0)
        write.cut(20.0, 20.0, -5.0 * level, 200.0, 2.0, 4.0)
        write.cut(180.0, 20.0, -5.0 * level, 900.0, 5.0, 6.0)
        write.cut(180.0, 100.0, -5.0 * level, 900.0, 5.0, 6.0)
        write.cut(20.0, 100.0, -5.0 * level, 900.0, 5.0, 6.0)
        write.cut(20.0, 20.0, -5.0 * level, 900.0, 5.0, 6.0)
    write.change(3, 5500.0)
    write.rapid(15.0, 15.0, 5.0)
    write.cut(15.0, 15.0, -15.0, 300.0, 0.5, 0.3)
    write.cut(185.0, 15.0, -15.0, 1100.0, 15.0, 0.3, finish="size")
    write.cut(185.0, 105.0, -15.0, 1100.0, 15.0, 0.3, finish="surface")
    write.cut(15.0, 105.0, -15.0, 1100.0, 15.0, 0.3, finish="size")
    write.cut(15.0, 15.0, -15.0, 1100.0, 15.0, 0.3)
    write.add("G4 F1 M9", "dwell", seconds=1.0)
    write.add("M5", "spindle", rpm=0.0)
    write.rapid(0.0, 300.0, 300.0)
    write.add("M11 (UNCLAMP)", "unclamp", seconds=1.5)
    write.add("M30", "end")
    return Program("O1001", "housing", tuple(write.blocks), 90.0, 0.050, 4.2, 3.1)


def cover() -> Program:
    """Return the program of a cover of C45: face and finish the rim."""
    write = _Writer()
    write.add("M10 (CLAMP)", "clamp", seconds=1.5)
    write.change(1, 1200.0)
    for row in range(2):
        y = 20.0 + 40.0 * row
        write.rapid(-50.0, y, 0.0)
        write.cut(200.0, y, 0.0, 900.0, 1.5, 40.0)
        write.rapid(200.0, y, 20.0)
    write.change(3, 5000.0)
    write.rapid(10.0, 10.0, 5.0)
    write.cut(10.0, 10.0, -8.0, 300.0, 0.5, 0.3)
    write.cut(150.0, 10.0, -8.0, 1000.0, 8.0, 0.3, finish="size")
    write.cut(150.0, 90.0, -8.0, 1000.0, 8.0, 0.3, finish="surface")
    write.cut(10.0, 90.0, -8.0, 1000.0, 8.0, 0.3, finish="size")
    write.cut(10.0, 10.0, -8.0, 1000.0, 8.0, 0.3)
    write.add("M5", "spindle", rpm=0.0)
    write.rapid(0.0, 300.0, 300.0)
    write.add("M11 (UNCLAMP)", "unclamp", seconds=1.5)
    write.add("M30", "end")
    return Program("O1002", "cover", tuple(write.blocks), 80.0, 0.050, 1.9, 1.4)


def shaft() -> Program:
    """Return the program of a shaft of C45, 40 mm thick, 160 mm long, with stock for grinding."""
    write = _Writer()
    write.add("M10 (CHUCK)", "clamp", seconds=1.5)
    write.change(1, 1500.0)
    for turn, diameter in enumerate((46.0, 42.0)):
        write.rapid(diameter / 2.0 + 2.0, 0.0, 165.0)
        write.rapid(diameter / 2.0 - 2.0, 0.0, 162.0)
        write.cut(diameter / 2.0 - 2.0, 0.0, 5.0, 375.0 - 30.0 * turn, 2.0, diameter)
        write.rapid(40.0, 0.0, 5.0)
    write.change(2, 1700.0)
    write.rapid(19.0, 0.0, 162.0)
    write.cut(19.0, 0.0, 80.0, 400.0, 1.5, 40.0)
    write.rapid(60.0, 0.0, 80.0)
    write.change(3, 2200.0)
    write.rapid(18.0, 0.0, 162.0)
    write.cut(18.0, 0.0, 100.0, 260.0, 0.4, 38.0, finish="size")
    write.cut(18.0, 0.0, 60.0, 260.0, 0.4, 38.0, finish="surface")
    write.cut(18.0, 0.0, 20.0, 260.0, 0.4, 38.0, finish="size")
    write.add("M5", "spindle", rpm=0.0)
    write.rapid(200.0, 0.0, 300.0)
    write.add("M11 (UNCHUCK)", "unclamp", seconds=1.5)
    write.add("M30", "end")
    return Program("O2001", "shaft", tuple(write.blocks), 38.0, 0.040, 2.1, 1.5)


def ground_shaft() -> Program:
    """Return the program that grinds the seat of a shaft."""
    write = _Writer()
    write.add("M10 (CENTERS)", "clamp", seconds=2.0)
    write.add("S2100 M3", "spindle", rpm=2100.0)
    for turn in range(6):
        write.rapid(19.0, 0.0, 150.0)
        write.cut(19.0, 0.0, 40.0, 1200.0, 0.02, 38.0)
        write.cut(19.0, 0.0, 150.0, 1200.0, 0.02 if turn < 4 else 0.005, 38.0, finish="size" if turn == 5 else "")
    write.cut(19.0, 0.0, 40.0, 900.0, 0.002, 38.0, finish="surface")
    write.rapid(120.0, 0.0, 200.0)
    write.add("M11 (CENTERS)", "unclamp", seconds=2.0)
    write.add("M30", "end")
    return Program("O3001", "ground_shaft", tuple(write.blocks), 38.0, 0.020, 1.5, 1.48)


PROGRAMS: Final = {"housing": housing, "cover": cover, "shaft": shaft, "ground_shaft": ground_shaft}
