"""Tables of users and of what proves who somebody is. Of every secret only a hash is kept.

What lets somebody in is in no backup: a restore, perhaps years later, must not revive what was ended in between.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloud.auth.rights import Role
from cloud.auth.scope import PLANT
from cloud.db import Base, UtcDateTime


class User(Base):
    """A person. Without a password only a login link lets them in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(256))
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=[PLANT])

    logins: Mapped[list[Login]] = relationship(back_populates="user", cascade="all, delete-orphan")
    links: Mapped[list[LoginLink]] = relationship(back_populates="user", cascade="all, delete-orphan")
    tokens: Mapped[list[ApiToken]] = relationship(back_populates="user", cascade="all, delete-orphan")

    @property
    def known_role(self) -> Role:
        """The role as a Role."""
        return Role(self.role)


class Login(Base):
    """A browser that is logged in: the cookie's hash."""

    __tablename__ = "logins"
    __table_args__ = {"info": {"not_in_backup": "nobody stays logged in on another machine"}}  # noqa: RUF012

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship(back_populates="logins")


class LoginLink(Base):
    """A link that logs its user in once."""

    __tablename__ = "login_links"
    __table_args__ = {"info": {"not_in_backup": "a link that was printed is for one plant"}}  # noqa: RUF012

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship(back_populates="links")


class ApiToken(Base):
    """A bearer token of a program that acts for a user, with at most the user's role and scopes."""

    __tablename__ = "api_tokens"
    __table_args__ = {"info": {"not_in_backup": "a token that was revoked since must not come back"}}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=[PLANT])

    user: Mapped[User] = relationship(back_populates="tokens")
