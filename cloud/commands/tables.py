"""The tables of commands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db import Base


class CommandRow(Base):
    """A command as it stands: `queued` and `sent`, then how it ended. `node` is whom gateways ask for it."""

    __tablename__ = "commands"
    __table_args__ = (
        Index("ix_commands_created_ns", "created_ns", "id"),
        Index("ix_commands_asset", "asset", "created_ns", "id"),
        Index("ix_commands_state", "state", "node"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    asset: Mapped[str] = mapped_column(String(64))
    node: Mapped[str] = mapped_column(String(256))
    author: Mapped[str] = mapped_column(String(200))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    expires_ns: Mapped[int] = mapped_column(BigInteger)
    do: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    value: Mapped[Any] = mapped_column(JSON, nullable=True)
    result: Mapped[Any] = mapped_column(JSON, nullable=True)


class StepRow(Base):
    """A step of a command, in order of `n`; none is ever changed: a late reply stands behind the end it corrects."""

    __tablename__ = "command_steps"

    command: Mapped[str] = mapped_column(String(64), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    time_ns: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(256))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
