"""A six-axis robot that carries parts: torques of its load, reducer friction, heat, tracking error, gripper vacuum."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from simulators.catalogs import robot as catalog
from simulators.machine import Refused, SimulatedMachine, Value, Waveform, number
from simulators.physics.joint import JOINTS, ArmData, friction_nm, gravity_nm, inertia_kg_m2, smooth
from simulators.physics.vibration import Sources

Pose = tuple[float, float, float, float, float, float]

HOME: Final[Pose] = (0.0, 70.0, -80.0, 0.0, -60.0, 0.0)
CABINET_W: Final = 190.0
PIECE_S: Final = 0.5
"""Longer steps are cut into such pieces while the arm moves."""
RV_TEETH: Final = 18.0
BRAKE_TEST_CYCLES: Final = 20
VACUUM_KPA: Final = -62.0
GRIP_KPA: Final = -35.0
"""Weaker vacuum than this lets a part fall: the controller stops."""


def pose(station: int) -> Pose:
    """Return the pose of the arm at one of the stations around it (numbered from 0, 40° apart)."""
    return (
        -100.0 + 40.0 * station,
        25.0 + 4.0 * (station % 3),
        -50.0 - 5.0 * (station % 2),
        12.0 * (station - 2),
        -65.0,
        20.0,
    )


@dataclass(slots=True)
class Job:
    """Carry something of `payload_kg` from one station to another; the callbacks move the part in the factory."""

    name: str
    source: int
    target: int
    payload_kg: float
    on_grip: Callable[[], None] = field(default=lambda: None)
    on_release: Callable[[], None] = field(default=lambda: None)
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    kind: Literal["move", "grip", "release", "brake_test"]
    target: Pose | None = None
    seconds: float = 0.0


class Robot(SimulatedMachine):
    """A 12 kg robot. Without a factory around it (`endless`) it moves parts from station 1 to station 4 for ever."""

    kind = "robot"
    model = "SF-R12 six-axis robot"
    signals = catalog.SIGNALS
    modes = catalog.MODES
    protection = catalog.TRIPS

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        self.endless = True
        self.arm = ArmData()
        self.job: Job | None = None
        self.execution, self.mode = "READY", "AUTOMATIC"
        self.speed_override = 100.0
        self.q = [math.radians(angle) for angle in HOME]
        self.speed = [0.0] * 6
        self.current = [0.0] * 6
        self.expected = [0.0] * 6
        """Current (A) that the controller's model of a healthy arm expects."""
        self.tracking = [0.0] * 6
        self.temperature = [self.ambient_c] * 6
        self.cabinet_c = self.ambient_c
        self.payload_kg = 0.0
        self.closed = False
        self.vacuum_kpa = 0.0
        self.grip_misses = 0
        self.brake_drop = 0.02
        self.cycle_count = 0
        self.cycle_s = 0.0
        self.tcp_mm_s = 0.0
        self._supply_v = 400.0
        self._steps: tuple[_Step, ...] = ()
        self._index = 0
        self._phase = 0.0
        self._duration = 0.0
        self._start: Pose = HOME
        self._from = HOME
        self._pause_s = 2.0
        self._started_s = 0.0
        self._retries = 0
        self._lost_contacts = 0
        self._held_s = 0.0

    # ---- program -------------------------------------------------------------------------------------------------

    def assign(self, job: Job) -> None:
        """Give the robot a job; raise Refused while it has one."""
        if self.job is not None:
            raise Refused(f"{self.id} still does {self.job.name}")
        self.job = job

    def _plan(self, job: Job) -> tuple[_Step, ...]:
        source, target = pose(job.source), pose(job.target)
        above, over = _lifted(source), _lifted(target)
        steps = [
            _Step("move", above), _Step("move", source), _Step("grip", seconds=0.8), _Step("move", above),
            _Step("move", over), _Step("move", target), _Step("release", seconds=0.5), _Step("move", over),
            _Step("move", HOME),
        ]  # fmt: skip
        if self.cycle_count % BRAKE_TEST_CYCLES == BRAKE_TEST_CYCLES - 1:
            steps.append(_Step("brake_test", seconds=2.0))
        return tuple(steps)

    def _advance(self, dt: float) -> None:
        left = dt
        joule = [0.0] * 6
        while left > 1e-9:
            piece = self._piece(left)
            self._move(piece, joule)
            self.at_s += piece
            left -= piece
        self._warm(dt, joule)

    def _piece(self, left: float) -> float:
        if self.execution == "ACTIVE":
            rate = self._rate()
            if rate <= 0.0:
                return left
            piece = min(left, PIECE_S, max((self._duration - self._phase) / rate, 1e-6))
            self._phase += piece * rate
            return piece
        if self.execution != "READY" or self.alarm:
            return left
        if self._pause_s > 0.0:
            piece = min(left, self._pause_s)
            self._pause_s -= piece
            return piece
        if self.job is None and self.endless:
            kind = self.cycle_count % 2
            self.job = Job("transfer", 1 + 3 * kind, 4 - 3 * kind, 4.2 if kind == 0 else 3.1)
        if self.job is None or self.mode != "AUTOMATIC":
            return left
        self.execution, self._steps, self._index = "ACTIVE", self._plan(self.job), 0
        self._started_s = self.at_s
        self._begin()
        return min(left, 1e-6)

    def _rate(self) -> float:
        return self.speed_override / 100.0 if self._steps[self._index].kind == "move" else 1.0

    def _begin(self) -> None:
        step = self._steps[self._index]
        self._phase, self._duration = 0.0, step.seconds
        self._from = tuple(math.degrees(angle) for angle in self.q)  # type: ignore[assignment]
        if step.target is not None:
            ways = zip(self._from, step.target, JOINTS, strict=True)
            slowest = max(abs(b - a) / (0.7 * joint.speed_deg_s) for a, b, joint in ways)
            self._duration = max(0.25, 1.875 * slowest)

    def _end_step(self) -> None:
        kind, job = self._steps[self._index].kind, self.job
        if job is not None and kind == "grip" and not self._grip(job):
            return
        if job is not None and kind == "release":
            self.closed, self.payload_kg = False, 0.0
            job.on_release()
        if kind == "brake_test":
            self.brake_drop = 0.02 + 1.2 * self.severity["brake"]
        self._index += 1
        if self._index < len(self._steps):
            self._begin()
            return
        self.execution, self._pause_s, self._retries = "READY", 0.5, 0
        self.cycle_count += 1
        self.cycle_s = self.at_s - self._started_s
        if job is not None:
            job.done = True
            self.record("job_done", job=job.name, seconds=round(self.cycle_s, 3))
        self.job, self._steps = None, ()

    def _grip(self, job: Job) -> bool:
        """Close the gripper; a shifted calibration sometimes misses. Return whether the part is held."""
        shift = self.severity["calibration_shift"]
        if shift > 0.0 and self.rng.random() < 0.6 * shift:
            self.grip_misses += 1
            self._retries += 1
            self.record("grip_missed", job=job.name, retry=self._retries)
            if self._retries >= 4:
                self.raise_alarm(catalog.GRIP)
            self._begin()
            return False
        self.closed, self.payload_kg = True, job.payload_kg
        job.on_grip()
        return True

    # ---- physics -------------------------------------------------------------------------------------------------

    def _move(self, piece: float, joule: list[float]) -> None:
        running = self.execution == "ACTIVE"
        speed, acceleration = [0.0] * 6, [0.0] * 6
        step = self._steps[self._index] if running else None
        if step is not None and step.target is not None:
            rate = self._rate()
            way = smooth(self._phase / self._duration)[0]
            # torques and speeds as they are in the middle of the piece, positions at its end
            _, fast, change = smooth((self._phase - 0.5 * piece * rate) / self._duration)
            for i in range(6):
                span = math.radians(step.target[i] - self._from[i])
                self.q[i] = math.radians(self._from[i]) + span * way
                speed[i] = span * fast * rate / self._duration
                acceleration[i] = span * change * (rate / self._duration) ** 2
        self.speed = speed
        mechanical = self._torques(speed, acceleration, piece, joule)
        self._suck(piece)
        losses = math.fsum(1.5 * i * i * joint.resistance_ohm for i, joint in zip(self.current, JOINTS, strict=True))
        pump = 120.0 if self.closed else 0.0
        # a braking axis feeds the common link, the resistor burns what nobody takes
        self.add_energy(max(0.0, mechanical) + losses + pump + CABINET_W, piece)
        if running and self._phase >= self._duration - 1e-9:
            self._end_step()

    def _torques(self, speed: list[float], acceleration: list[float], piece: float, joule: list[float]) -> float:
        """Set currents and tracking errors; return the mechanical power (W)."""
        gravity = gravity_nm(self.arm, self.q, self.payload_kg)
        inertia = inertia_kg_m2(self.arm, self.q, self.payload_kg)
        loads = (0.0, gravity[0], gravity[1], 0.0, gravity[2], 0.0)
        masses = (inertia[0], inertia[1], inertia[2], inertia[3], inertia[3], 0.02)
        severity = self.severity
        power = 0.0
        for i, joint in enumerate(JOINTS):
            factor = 1.0 + 3.0 * severity["rv_reducer"] if i == 1 else 1.0
            if i == 4:
                factor = 1.0 + 2.0 * severity["harmonic_drive"]
            load = loads[i] + masses[i] * acceleration[i]
            healthy = friction_nm(joint, speed[i], self.temperature[i], load)
            friction = factor * healthy
            if i == 1:  # a brake that drags
                friction += 25.0 * severity["brake"] * math.tanh(speed[i] / 0.01)
            moved = load + joint.rotor_kg_m2 * joint.ratio**2 * acceleration[i]
            torque = moved + friction
            wave = 2.0 * joint.ratio * self.q[i]  # two meshes of the wave generator per motor turn
            ripple = 0.0
            if joint.gear == "harmonic":
                ripple = 0.01 + (0.6 * severity["harmonic_drive"] if i == 4 else 0.0)
                torque += ripple * 12.0 * math.sin(wave) * math.tanh(speed[i] / 0.01)
            self.current[i] = torque / (joint.ratio * joint.torque_nm_a)
            self.expected[i] = (moved + healthy) / (joint.ratio * joint.torque_nm_a)
            lag = math.degrees(speed[i]) / 40.0 * 0.02 + math.degrees(torque / joint.stiffness_nm_rad)
            if i == 1:  # play of a worn reducer
                lag += 0.05 * severity["rv_reducer"] * math.tanh(speed[i] / 0.01)
            self.tracking[i] = lag + 0.05 * ripple * math.sin(wave)
            power += torque * speed[i]
            loss = 1.5 * self.current[i] ** 2 * joint.resistance_ohm
            joule[i] += (loss + 0.7 * abs(friction * speed[i])) * piece
        end = math.hypot(speed[1] * self.arm.upper_m, speed[2] * self.arm.fore_m)
        self.tcp_mm_s = 1000.0 * math.hypot(end, speed[0] * (self.arm.upper_m + self.arm.fore_m) * 0.8)
        return power

    def _warm(self, dt: float, joule: list[float]) -> None:
        """Heat of the joints: one node each, C·dT/dt = Q − G·(T − T_ambient) (lumped capacitance)."""
        for i, joint in enumerate(JOINTS):
            idle = 4.0 + (30.0 * self.severity["brake"] if i == 1 else 0.0)  # holding brake coil, and its wear
            target = self.ambient_c + (joule[i] / dt + idle) / joint.to_ambient_w_k
            fade = math.exp(-dt * joint.to_ambient_w_k / joint.capacity_j_k)
            self.temperature[i] = target + (self.temperature[i] - target) * fade
        target = self.ambient_c + 0.06 * self.power_w
        self.cabinet_c = target + (self.cabinet_c - target) * math.exp(-dt / 1500.0)
        self._supply_v = 400.0 - 0.4 * self.power_w / 1000.0 + 0.3 * math.sin(self.at_s / 47.0)
        self._bend_cable()

    def _bend_cable(self) -> None:
        """A broken encoder cable of joint 4 loses contact where it bends; the controller stops when that goes on."""
        cable = self.severity["encoder_cable"]
        if cable > 0.0 and abs(self.q[3]) > 0.2 and self.rng.random() < 0.5 * cable:
            self.silent = frozenset(("joint4_position", "joint4_tracking_error"))
            self._lost_contacts += 1
        elif self.silent:
            self.silent = frozenset()
        if self._lost_contacts >= 20 and self.execution == "ACTIVE":
            self._lost_contacts = 0
            self.raise_alarm(catalog.ENCODER)

    def waveform(self, sensor: str, samples: int, rate_hz: float = 25600.0) -> Waveform:
        """Return a block of acceleration (m/s²) at a joint (`joint1` to `joint6`) at its speed now.

        The wave generator of a harmonic drive meshes twice per motor turn; an RV reducer's first stage has a gear mesh
        at its tooth count (18 teeth here).
        """
        known = [f"joint{joint.name}" for joint in JOINTS]
        if sensor not in known:
            raise KeyError(f"{self.id} has no vibration sensor {sensor!r}; have: {', '.join(known)}")
        i = known.index(sensor)
        joint = JOINTS[i]
        motor_hz = abs(self.speed[i]) * joint.ratio / (2.0 * math.pi)
        worn = self.severity["harmonic_drive"] if i == 4 else self.severity["rv_reducer"] if i == 1 else 0.0
        mesh = 2.0 if joint.gear == "harmonic" else RV_TEETH
        sources = Sources(shaft_hz=motor_hz, orders={1.0: 0.2}, floor=0.1 + 0.2 * min(1.0, motor_hz / 30.0))
        sources.tones[mesh * motor_hz] = 0.3 + 4.0 * worn
        sources.turn_share = 0.1 + 0.5 * worn
        return sources.block(samples, rate_hz, self._block_rng())

    def _suck(self, piece: float) -> None:
        leak = self.severity["vacuum_leak"] + 0.25 * self.severity["calibration_shift"]
        target = VACUUM_KPA * (1.0 - 0.5 * min(leak, 1.0)) if self.closed else 0.0
        self.vacuum_kpa += (target - self.vacuum_kpa) * (1.0 - math.exp(-piece / 0.15))
        self._held_s = self._held_s + piece if self.closed else 0.0
        if self._held_s > 1.0 and self.vacuum_kpa > GRIP_KPA and self.execution == "ACTIVE":
            self.raise_alarm(catalog.LOST)

    # ---- operator and controller ---------------------------------------------------------------------------------

    def _measured(self) -> Mapping[str, Value | None]:
        """Add by how much each current differs from the model's, as a share of the rated one: collision detection."""
        said = self.read()
        pairs = ((said[f"joint{i + 1}_current"], joint) for i, joint in enumerate(JOINTS))
        excess = {
            f"joint{joint.name}_excess": abs(current - expected) / joint.rated_a if isinstance(current, float) else None
            for (current, joint), expected in zip(pairs, self.expected, strict=True)
        }
        return {**said, **excess}

    def raise_alarm(self, text: str) -> None:
        """Stop with an alarm: a protective stop."""
        super().raise_alarm(text)
        self.execution = "INTERRUPTED"

    def _reset(self) -> None:
        """Let a broken-off step go on."""
        super()._reset()
        self._retries = 0
        self.execution = "ACTIVE" if self.job is not None and self._steps else "READY"

    def _end(self, code: str) -> None:
        super()._end(code)
        if code == "brake":
            self.brake_drop = 0.02  # a new brake is tested before it is handed over
        elif code == "encoder_cable":
            self._lost_contacts = 0

    def set_speed_override(self, value: Value) -> None:
        """Set the speed override, 0 to 100 %."""
        self.speed_override = number("speed_override", value, 0.0, 100.0)

    def set_program_stop(self, _value: Value) -> None:
        """Hold the motion."""
        if self.execution != "ACTIVE":
            raise Refused(f"{self.id} does not move: execution is {self.execution}")
        self.execution = "FEED_HOLD"

    def set_program_start(self, _value: Value) -> None:
        """Resume after a hold."""
        if self.alarm:
            raise Refused(f"{self.id} does not start: {self.alarm}; reset it first")
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} already moves")
        self.execution = "ACTIVE" if self._steps and self.execution == "FEED_HOLD" else "READY"

    def set_reset(self, _value: Value) -> None:
        """Take the alarm away; a broken-off step goes on."""
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} moves: stop it before a reset")
        self._reset()

    def set_calibrate(self, _value: Value) -> None:
        """Master the axes anew: a calibration shift is gone."""
        if self.execution == "ACTIVE":
            raise Refused(f"{self.id} moves: master it at standstill")
        if self.faults["calibration_shift"].onset_s is not None:
            self._end("calibration_shift")

    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {
            "execution": self.execution, "mode": self.mode, "program": self.job.name if self.job else "",
            "step": self._index if self.execution == "ACTIVE" else 0, "cycle_count": self.cycle_count,
            "cycle_time": self.cycle_s, "alarm": self.alarm, "speed_override": self.speed_override,
            "tcp_speed": self.tcp_mm_s, "payload": self.payload_kg, "gripper_closed": self.closed,
            "gripper_vacuum": self.vacuum_kpa, "grip_misses": self.grip_misses, "brake_drop": self.brake_drop,
            "protective_stop": bool(self.alarm), "cabinet_temperature": self.cabinet_c,
            "supply_voltage": self._supply_v,
            "power": self.power_w / 1000.0, "energy": self.energy_kwh, "sequence": self.sequence,
        }  # fmt: skip
        for i in range(6):
            name = f"joint{i + 1}"
            values[f"{name}_position"] = math.degrees(self.q[i])
            values[f"{name}_speed"] = math.degrees(self.speed[i])
            values[f"{name}_current"] = self.current[i]
            values[f"{name}_temperature"] = self.temperature[i]
            values[f"{name}_tracking_error"] = self.tracking[i]
        return values


def _lifted(at: Pose) -> Pose:
    return (at[0], at[1] + 14.0, at[2] + 6.0, at[3], at[4] - 8.0, at[5])


MACHINE = Robot
