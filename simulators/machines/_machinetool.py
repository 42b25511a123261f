"""The common part of machine tools: control, motion, supplies, heat, energy. A subclass says how it cuts."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from simulators.catalogs import machinetool as catalog
from simulators.fault import FaultMode
from simulators.machine import Value, Waveform
from simulators.machines._control import ToolController
from simulators.physics import cutting
from simulators.physics.axis import Axis
from simulators.physics.bearing import B7010, B7014
from simulators.physics.cutting import NO_CUT, Cut, Tool
from simulators.physics.program import Block
from simulators.physics.supply import Hydraulics, Lubrication
from simulators.physics.thermal import Network, growth_um
from simulators.physics.vibration import Defect, Sources

CONTROL_W: Final = 350.0
DRIVES_W: Final = 260.0
STANDBY_W: Final = 180.0
CHILLER_W: Final = 550.0
CONSUMERS: Final = (
    "control", "drives", "chiller", "spindle", "axes", "axis_losses", "coolant", "hydraulics", "brake_resistor",
)  # fmt: skip
BREAKING_S: Final = 0.4
LEAST_CUT_NM: Final = 1.0
"""Smaller cuts than this say nothing about a tool."""
HEAD_MM: Final = 350.0
"""Length of the head that grows in Z with its temperature, mm; the shaft's nose is 120 mm more, with the front bearing.
"""
WARM_UM: Final = 45.0
"""Growth at which the Z offset was set: a machine in its usual warm state makes the right depth."""


class MachineTool(ToolController):
    """A machine tool with a main spindle and three axes; a subclass says how it cuts and with what."""

    signals = catalog.SIGNALS
    modes: ClassVar[tuple[FaultMode, ...]] = catalog.MODES
    protection = catalog.TRIPS
    sensors = ("spindle",)
    data_sheet: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "spindle": {
            "speed": "spindle_speed",
            "bearings": [{"name": "front", **B7014.data_sheet()}, {"name": "rear", **B7010.data_sheet()}],
        }
    }

    def __init__(
        self, id_: str, seed: int = 0, names: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id_, seed, names, options)
        # a kind that cannot have a fault has its severity 0
        self.severity = dict.fromkeys((mode.code for mode in catalog.MODES), 0.0)
        self.hydraulics, self.lubrication = Hydraulics(), Lubrication()
        self.axes = (Axis("x", 650.0), Axis("y", 900.0), Axis("z", 420.0, weight_n=900.0))
        self.velocity = (0.0, 0.0, 0.0)
        self.current = [0.0, 0.0, 0.0]
        self.following = [0.0, 0.0, 0.0]
        self.feed_mm_min = 0.0
        self.balance = dict.fromkeys(CONSUMERS, 0.0)
        """Mean power of each consumer in the last step, W; below 0 it gives back."""
        self._sources = Sources()
        self._last_direction = 1.0
        self._lost_contacts = 0
        self._has_collided = False
        self._peak_a = 0.0
        self.lost_motion_um = 0.0
        """By how much the scale and the motor's encoder of X differ, µm."""
        self.heat = Network(
            {"front": (1800.0, 0.6), "rear": (1100.0, 0.5), "motor": (9000.0, 4.0), "head": (45000.0, 38.0),
             "screw": (6000.0, 3.0), "x": (5000.0, 3.5), "y": (5000.0, 3.5), "z": (5000.0, 3.5),
             "tank": (8.4e5, 45.0), "cabinet": (22000.0, 24.0)},
            [("front", "head", 13.0), ("rear", "head", 10.0), ("motor", "head", 16.0), ("x", "screw", 0.8)],
            self.ambient_c,
        )  # fmt: skip

    def _advance(self, dt: float) -> None:
        if self._since_scan_s == 0.0:
            self._peak_a = 0.0
        heat = [0.0] * 6  # front, rear, motor (spindle), x, y, z in J
        self.balance = dict.fromkeys(CONSUMERS, 0.0)
        left = dt
        while left > 1e-9:
            piece = self._piece(left)
            self._move(piece)
            self._power(piece, piece / dt, heat)
            self.at_s += piece
            left -= piece
        self._warm(dt, heat)
        self._shake()

    def _move(self, piece: float) -> None:
        """Let the axes, the spindle and the tool act for `piece` seconds."""
        motion, rate = self._motion, self._rate()
        running = self.execution == "ACTIVE"
        speed = acceleration = 0.0
        direction = (0.0, 0.0, 0.0)
        if running and motion is not None:
            self.position, speed, acceleration = motion.between(self._phase - piece * rate, self._phase)
            speed, acceleration, direction = speed * rate, acceleration * rate, motion.direction
        self.velocity = (speed * direction[0], speed * direction[1], speed * direction[2])
        self.feed_mm_min = speed * 60.0
        block = self.block
        if running and block.kind == "cut" and speed > 0.0:
            self.cut = self._cut(block, self.spindle.rpm, self.feed_mm_min)
            self._wear(block, piece)
        else:
            self.cut = NO_CUT
        self._spin(piece)
        self._drive(direction, acceleration)
        if running and self._phase >= self._duration - 1e-9:
            self._end_block()

    @abstractmethod
    def _cut(self, block: Block, rpm: float, feed_mm_min: float) -> Cut:
        """Return the cut of a sharp tool in this block."""

    def wear_mm(self, tool: int) -> float:
        """Return the flank wear VB in mm of a tool; the fault `tool_flank_wear` ages tools 2 and 3 by 1.5 lives."""
        extra = 1.5 * self.severity["tool_flank_wear"] if tool in (2, 3) else 0.0
        return cutting.flank_wear_mm(min(self.life[tool] + extra, 1.5))

    def force_factor(self) -> float:
        """Return what multiplies the force of a sharp tool: wear, hardness of the stock, breakage, jammed chips."""
        factor = cutting.wear_force_factor(self.wear_mm(self.tool)) * self.hardness
        if self.tool == 2:
            if self.severity["tool_breakage"] > 0.0:
                # the edge jams as it breaks, then the rest of the tool hardly cuts
                since = self.at_s - (self.faults["tool_breakage"].onset_s or 0.0)
                factor *= 2.2 if since < BREAKING_S else 0.35
            jam = self.severity["chip_jam"]
            if jam > 0.0:
                factor *= 1.0 + jam * (1.1 + 0.35 * math.sin(7.3 * self.at_s) * math.sin(1.7 * self.at_s))
        return factor

    def _wear(self, block: Block, piece: float) -> None:
        tool = self.tools[self.tool]
        life_min = self._tool_life_min(tool, block)
        hot = 1.0 + 2.0 * self.severity["coolant_filter"] + (0.0 if self.coolant.on else 2.0)
        self.life[self.tool] += piece / 60.0 / life_min * hot

    def _tool_life_min(self, tool: Tool, block: Block) -> float:
        speed = math.pi * tool.diameter_mm * self.spindle.rpm / 1000.0
        feed = self.feed_mm_min / max(self.spindle.rpm * tool.teeth, 1e-9)
        return cutting.tool_life_min(tool, speed, feed)

    def _spin(self, piece: float) -> None:
        severity, temperature = self.severity, self.heat.temperature_c
        torque = self.cut.torque_nm * self.force_factor()
        damage = severity["spindle_bearing_outer"] + severity["spindle_bearing_inner"]
        dry = severity["spindle_lubrication_loss"]
        dry *= 1.0 + 9.0 * dry**3  # in the end metal runs on metal
        self.spindle.step(
            piece,
            torque,
            bearings_c=(temperature[0], temperature[1]),
            friction=(
                (1.0 + 0.8 * damage) * (1.0 + 2.5 * dry) * (1.0 + 0.5 * severity["spindle_crash"]),
                1.0 + 2.5 * dry,
            ),
        )

    def _drive(self, direction: tuple[float, float, float], acceleration: float) -> None:
        """Set servo currents (A) and following errors (µm) of the axes."""
        severity = self.severity
        force = self.cut.force_n * self.force_factor()
        # feed force and normal force of a milling cut are about 0.8 and 0.4 of the tangential force (Tschätsch)
        loads = [
            force * (0.8 * part + 0.4 * other)
            for part, other in zip(direction, direction[1:] + direction[:1], strict=True)
        ]
        for i, axis in enumerate(self.axes):
            speed = self.velocity[i]
            factor, load = 1.0, loads[i]
            if i == 0:
                factor = 1.0 + 1.8 * severity["guide_lubrication"]
                bend = severity["screw_misalignment"]
                if bend > 0.0 and speed != 0.0:  # the nut binds once per lead and near the support bearing
                    turn = 2.0 * math.pi * self.position[0] / axis.lead_mm
                    place = 0.5 + 0.5 * math.cos(math.pi * (self.position[0] + 50.0) / 350.0)
                    load += math.copysign(bend * (400.0 + 900.0 * place + 250.0 * math.sin(turn)), speed)
            if self.state != "on":
                self.current[i] = self.following[i] = 0.0
                continue
            self.current[i] = axis.current_a(speed, acceleration * direction[i], load, factor)
            self.following[i] = axis.following_um(speed, load + axis.friction_n(speed, factor))
        self._collide()
        self._reversal()

    def _collide(self) -> None:
        """Let a crash be a blow on X, in the first motion after it; the drive notes its peak current (A)."""
        crash = self.severity["spindle_crash"]
        if crash > 0.0 and not self._has_collided and self.velocity[0] != 0.0:
            self._has_collided = True
            self.current[0] += math.copysign(45.0 * crash, self.velocity[0])
        self._peak_a = max(self._peak_a, *map(abs, self.current))

    def _reversal(self) -> None:
        """Lost motion of X: after a change of direction the table lags by the backlash.

        A dry guide sticks and slips.
        """
        speed = self.velocity[0]
        if speed != 0.0:
            self._last_direction = math.copysign(1.0, speed)
        self.lost_motion_um = 1.0 + 24.0 * self.severity["screw_preload_loss"]
        self.following[0] += self.lost_motion_um * self._last_direction
        dry = self.severity["guide_lubrication"]
        if dry > 0.0 and speed != 0.0:
            self.following[0] += 8.0 * dry * math.sin(2.0 * math.pi * 3.1 * self.at_s) * self._last_direction

    # ---- power and heat ------------------------------------------------------------------------------------------

    def _power(self, piece: float, share: float, heat: list[float]) -> None:
        """Add up the electric power (W) of `piece` seconds, a share of the step, and where its heat (J) goes."""
        severity = self.severity
        on = self.state == "on"
        jam = severity["chip_jam"]
        ripple = 0.12 * jam * math.sin(5.1 * self.at_s) if jam > 0.0 and self.cut is not NO_CUT else 0.0
        self.coolant.step(piece, severity["coolant_filter"], ripple)
        clamping = self.execution == "ACTIVE" and self.block.kind in ("clamp", "unclamp")
        self.hydraulics.step(piece, severity["hydraulic_leak"], clamping)
        self.lubrication.step(piece, severity["guide_lubrication"])
        spindle = self.spindle
        axes = losses = 0.0
        for i, axis in enumerate(self.axes):
            current = self.current[i]
            loss = axis.motor_loss_w(current)
            heat[3 + i] += loss * piece
            losses += loss
            # mechanical power at the motor; a drive that brakes gives back through the common link
            axes += current * axis.torque_nm_a * self.velocity[i] / axis.lead_mm * 2.0 * math.pi
        heat[0] += spindle.front_heat_w * piece
        heat[1] += spindle.rear_heat_w * piece
        heat[2] += spindle.motor_heat_w * piece
        drawn = (
            CONTROL_W if self.state != "off" else 0.0,
            DRIVES_W if on else (STANDBY_W if self.state == "standby" else 0.0),
            CHILLER_W * (1.0 - severity["spindle_chiller_loss"]) if on else 0.0,
            spindle.electric_w if on else 0.0,
            axes if on else 0.0,
            losses if on else 0.0,
            self.coolant.power_w if on else 0.0,
            self.hydraulics.power_w if on else 0.0,
        )
        power = math.fsum(drawn)
        burnt = max(0.0, -power)  # what braking drives give back and nobody takes
        for name, watt in zip(CONSUMERS, (*drawn, burnt), strict=True):
            self.balance[name] += watt * share
        self.add_energy(power + burnt, piece)

    def _warm(self, dt: float, heat: list[float]) -> None:
        network = self.heat
        flow = network.heat_w
        for i, (node, joule) in enumerate(zip((0, 1, 2, 5, 6, 7), heat, strict=True)):
            # a share of the spindle motor's heat leaves with its own cooling jacket
            flow[node] = joule / dt * (0.35 if i == 2 else 1.0)
        network.set_conductance(3, 38.0 - 26.0 * self.severity["spindle_chiller_loss"])
        friction = abs(self.velocity[0]) / 1000.0 * self.axes[0].coulomb_n
        bend = self.severity["screw_misalignment"]
        flow[4] = friction * 0.5 + 250.0 * bend * (1.0 if self.state == "on" else 0.0)
        flow[8] = self.coolant.power_w * 0.6 + self.spindle.cutting_w * 0.2
        flow[9] = 0.25 * (self.balance["control"] + self.balance["drives"]) + 0.03 * abs(self.balance["spindle"])
        network.step(dt, self.ambient_c)

    @property
    def growth_z_um(self) -> float:
        """Growth of the head and of the spindle's nose towards the table, µm, from the ambient temperature."""
        front, head = self.heat.temperature_c[0], self.heat.temperature_c[3]
        return growth_um(HEAD_MM, head - 22.0) + growth_um(120.0, front - 22.0)

    # ---- results -------------------------------------------------------------------------------------------------

    def _measure(self, block: Block) -> None:
        """Note what a finishing cut truly made: µm from nominal and Ra in µm.

        A worn edge is set back (VB·tan α) and pushes the tool away (change of force/stiffness) on both sides of
        the width; the head's growth goes into the depth; backlash and a crashed taper into the width.
        """
        tool = self.tools[self.tool]
        wear = self.wear_mm(self.tool)
        sharp = self._cut(block, self.spindle.rpm or block.rpm, block.feed_mm_min)
        push = 0.3 * sharp.tooth_force_n * (cutting.wear_force_factor(wear) * self.hardness - 1.0) / tool.stiffness_n_um
        width = 2.0 * (self._edge_um(wear) + push) + 0.6 * 24.0 * self.severity["screw_preload_loss"]
        width += growth_um(self.program.size_mm, self.heat.temperature_c[4] - 22.0)
        width -= 2.0 * 14.0 * self.severity["spindle_crash"]
        if block.finish == "size":
            self.results["size"] = round(width + 1.2 * float(self.rng.standard_normal()), 3)
            self.results["depth"] = round(self.growth_z_um - WARM_UM + 1.0 * float(self.rng.standard_normal()), 3)
            return
        feed = block.feed_mm_min * self.feed_override / 100.0 / max(self.spindle.rpm * tool.teeth, 1.0)
        shake_um = self._vibration().velocity_mm_s() / max(2.0 * math.pi * self.spindle.rpm / 60.0, 1.0) * 1000.0
        self.results["surface"] = round(
            cutting.roughness_um(feed, tool.corner_mm, wear, shake_um)
            * (1.0 + 0.03 * float(self.rng.standard_normal())),
            4,
        )

    def _edge_um(self, wear_mm: float) -> float:
        """Return how far the edge is set back against where the program's offset expects it: half worn, µm."""
        return cutting.edge_recession_um(wear_mm) - cutting.edge_recession_um(0.5 * cutting.WEAR_LIMIT_MM)

    def _vibration(self) -> Sources:
        """Return what shakes the spindle now."""
        severity, spindle, tool = self.severity, self.spindle, self.tools[self.tool]
        hz = spindle.rpm / 60.0
        grade = spindle.data.balance_mm_s * (
            1.0 + 1.5 * severity["drawbar_force_loss"] + 4.0 * severity["spindle_crash"]
        )
        if self.tool == 3:
            grade += 80.0 * severity["tool_holder_imbalance"]
        once = spindle.once_per_turn_m_s2(grade)
        sources = Sources(shaft_hz=hz, orders={1.0: once, 2.0: once * (0.2 + 0.5 * severity["spindle_crash"])})
        running = min(1.0, hz / 100.0)
        sources.floor = 0.15 + running * (0.5 + 4.0 * severity["spindle_lubrication_loss"])
        for element, scale in (("outer", 160.0), ("inner", 200.0)):
            damage = severity[f"spindle_bearing_{element}"]
            if damage > 0.0 and hz > 0.0:
                peak = scale * damage * math.sqrt(running)
                sources.defects.append(Defect(spindle.data.front, element, peak))  # type: ignore[arg-type]
        if self.cut is not NO_CUT:
            self._cutting_vibration(sources, tool, hz)
        return sources

    def _cutting_vibration(self, sources: Sources, tool: Tool, hz: float) -> None:
        severity = self.severity
        force = self.cut.tooth_force_n * self.force_factor()
        broken = severity["tool_breakage"] if self.tool == 2 else 0.0
        sources.tones[cutting.tooth_pass_hz(self.spindle.rpm, tool.teeth)] = 0.004 * force
        feed = self.feed_mm_min / max(self.spindle.rpm * tool.teeth, 1e-9)
        runout = tool.runout_um + 30.0 * severity["spindle_crash"] + 8.0 * severity["drawbar_force_loss"]
        sources.turn_share = cutting.runout_share(runout, feed, tool.teeth)
        sources.orders[1.0] += 0.004 * force * sources.turn_share + 8.0 * broken
        chatter = severity["chatter"] if self.tool == 2 else 0.0
        if chatter > 0.0:  # at the mode of the tool, between two tooth passes
            mode = math.floor(780.0 / max(hz, 1e-9)) * hz + 0.43 * hz
            sources.chatter = (mode, 80.0 * chatter)

    def _shake(self) -> None:
        self._sources = self._vibration()
        self.spindle.drawbar_kn = 18.0 * (1.0 - 0.55 * self.severity["drawbar_force_loss"])
        self.spindle.unclamp_s = 0.42 * (1.0 - 0.35 * self.severity["drawbar_force_loss"])
        self._bend_cable()

    def _end(self, code: str) -> None:
        super()._end(code)
        if code == "spindle_crash":
            self._has_collided = False
        elif code == "encoder_cable":
            self._lost_contacts = 0

    def _bend_cable(self) -> None:
        """A broken encoder cable loses contact where it bends most; the controller stops when that goes on."""
        cable = self.severity["encoder_cable"]
        bent = cable > 0.0 and self.position[0] > 150.0
        if bent and self.rng.random() < 0.5 * cable:
            self.silent = frozenset(("x_position", "x_following_error"))
            self._lost_contacts += 1
        elif self.silent:
            self.silent = frozenset()
        if self._lost_contacts >= 20 and self.execution == "ACTIVE":
            self._lost_contacts = 0
            self.raise_alarm(catalog.ENCODER)

    def _measured(self) -> Mapping[str, Value | None]:
        """Add what tool monitors, drives and the PLC reckon: see the catalog. Without power it knows nothing."""
        if self.state == "off":
            return {}
        said, spindle = self.read(), self.spindle
        cutting = self.cut is not NO_CUT and self.cut.torque_nm >= LEAST_CUT_NM
        at_speed = spindle.rpm > 0.0 and spindle.rpm == spindle.target_rpm
        torque = said["spindle_torque"]
        once_m_s2 = self._sources.orders.get(1.0, 0.0)
        return {
            **said,
            "tool_load": (torque - spindle.idle_nm) / self.cut.torque_nm
            if cutting and at_speed and isinstance(torque, float)
            else None,
            "unbalance": once_m_s2 / (2.0 * math.pi * spindle.rpm / 60.0) / math.sqrt(2.0) * 1000.0
            if at_speed and self.cut is NO_CUT
            else None,
            "servo_peak": self._peak_a,
            "lost_motion": self.lost_motion_um,
            "pumped_coolant": said["coolant_pressure"] if self.coolant.on else None,
            "chiller_power": self.balance["chiller"] if self.state == "on" and self.time_ns > 0 else None,
        }

    def waveform(self, sensor: str, samples: int, rate_hz: float = 25600.0) -> Waveform:
        """Return a block of acceleration (m/s²) of the sensor `spindle`.

        It does not touch the machine's random numbers.
        """
        if sensor != "spindle":
            raise KeyError(f"{self.id} has no vibration sensor {sensor!r}; have: spindle")
        return self._sources.block(samples, rate_hz, self._block_rng())

    def _hidden(self) -> dict[str, Any]:
        return {
            "part": None if self.part is None else self.part.serial,
            "tools": {number: {"life": life, "wear_mm": self.wear_mm(number)} for number, life in self.life.items()},
            "growth_z_um": self.growth_z_um,
            "hardness": self.hardness,
            "force_n": self.cut.force_n * self.force_factor(),
            "consumers_w": dict(self.balance),
        }

    def _values(self) -> dict[str, Value]:
        spindle, heat, coolant = self.spindle, self.heat.temperature_c, self.coolant
        values: dict[str, Value] = {
            "execution": self.execution if self.state == "on" else "UNAVAILABLE", "mode": self.mode,
            "program": self.program.name, "block": self.block.line, "tool_number": self.tool,
            "part_count": self.part_count, "cycle_time": self.cycle_s, "alarm": self.alarm,
            "door_open": self.execution != "ACTIVE" and self._waiting > 0.0, "feed_rate": self.feed_mm_min,
            "feed_override": self.feed_override, "spindle_override": self.spindle_override,
            "spindle_speed": spindle.rpm, "spindle_load": spindle.load_percent, "spindle_torque": spindle.torque_nm,
            "spindle_power": spindle.electric_w / 1000.0, "spindle_front_temperature": heat[0],
            "spindle_rear_temperature": heat[1], "spindle_motor_temperature": heat[2], "head_temperature": heat[3],
            "drawbar_force": spindle.drawbar_kn, "unclamp_time": spindle.unclamp_s,
            "vibration_velocity": self._sources.velocity_mm_s(),
            "vibration_acceleration": self._sources.acceleration_m_s2(), "screw_temperature": heat[4],
            "coolant_pressure": coolant.pressure_bar, "coolant_flow": coolant.flow_l_min,
            "coolant_temperature": heat[8],
            "coolant_level": coolant.level_percent, "lubrication_pressure": self.lubrication.pressure_bar,
            "hydraulic_pressure": self.hydraulics.pressure_bar, "cabinet_temperature": heat[9],
            "ambient_temperature": self.ambient_c, "power": self.power_w / 1000.0, "energy": self.energy_kwh,
            "sequence": self.sequence,
        }  # fmt: skip
        for i, axis in enumerate(("x", "y", "z")):
            values[f"{axis}_position"] = self.position[i]
            values[f"{axis}_current"] = self.current[i]
            values[f"{axis}_following_error"] = self.following[i]
            values[f"{axis}_motor_temperature"] = heat[5 + i]
        return values
