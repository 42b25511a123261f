"""Blocks are kept once, as files in a folder, until newer ones need their room; evidence stays longer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import case, delete, event, func, select
from sqlalchemy.orm import Session

from cloud.blocks.tables import BlockRow, KeptBlock
from contract.block import Block, Header

_AT_ONCE: Final = 100
_ORPHAN_S: Final = 3600.0
_ENDING: Final = ".block"


class BlocksError(ValueError):
    """What cannot be done with blocks; says why."""


class Blocks:
    """The files in `folder`, at most `most_bytes` of numbers: the oldest go.

    Those that an event stands on go only when no others are left, and those that somebody keeps never: they may be
    half of all.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes

    def open(self, db: Session, now_s: float) -> None:
        """Make the folder; remove old files of which no row is known, as a death between the two leaves them.

        `now_s` is seconds since 1970. A new one may be that of a cloud beside this one, whose row is still to come.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = set(db.scalars(select(BlockRow.id)))
        for path in self.folder.iterdir():
            is_known = path.suffix == _ENDING and path.stem in known
            if not is_known and path.stat().st_mtime < now_s - _ORPHAN_S:
                path.unlink()

    def keep(self, db: Session, node: str, block: Block, now_ns: int) -> bool:
        """Keep a block: its file is on the disk when this returns. False when it was kept before.

        Raises BlocksError when another asset has a block of that id, or it is larger than half of all may be.
        """
        header = block.header
        known = db.get(BlockRow, header.id)
        if known is not None:
            if known.asset != header.asset:
                raise BlocksError(f"{known.asset!r} has a block {header.id!r}")
            return False
        if 2 * len(block.data) > self._most_bytes:
            raise BlocksError(f"{len(block.data)} bytes are more than half of SHOPFLOOR_BLOCK_BYTES")
        self._write(block)
        said = header.model_dump()
        db.add(BlockRow(node=node, end_ns=header.end_ns, bytes=len(block.data), received_ns=now_ns, **said))
        db.flush()
        self._make_room(db)
        return True

    def read(self, row: BlockRow) -> Block:
        """Return a block with its numbers; raise BlocksError when its file is not here."""
        try:
            header, _, data = self._path(row.id).read_bytes().partition(b"\n")
        except OSError as error:
            raise BlocksError(f"its file cannot be read: {error.strerror}") from error
        return Block(header=Header.model_validate_json(header), data=data)

    def spare(self, db: Session, row: BlockRow, by: str, now: datetime) -> None:
        """Keep a block for ever, as somebody wishes; raise BlocksError when half of the room is taken by such."""
        mark = db.get(KeptBlock, row.id)
        if mark is not None and mark.by:
            return
        kept = select(func.coalesce(func.sum(BlockRow.bytes), 0)).join(KeptBlock, KeptBlock.id == BlockRow.id)
        taken = db.scalar(kept.where(KeptBlock.by != "")) or 0
        if 2 * (taken + row.bytes) > self._most_bytes:
            raise BlocksError(f"{taken} bytes are kept already, and half of SHOPFLOOR_BLOCK_BYTES is the limit")
        if mark is None:
            db.add(KeptBlock(id=row.id, by=by, is_evidence=False, since=now))
        else:
            mark.by, mark.since = by, now

    def _make_room(self, db: Session) -> None:
        """Delete rows until the rest fits: of what nothing stands on first, of what somebody keeps never."""
        rows = (
            select(BlockRow)
            .outerjoin(KeptBlock, KeptBlock.id == BlockRow.id)
            .where(func.coalesce(KeptBlock.by, "") == "")
            .order_by(case((KeptBlock.id.is_(None), 0), else_=1), BlockRow.received_ns, BlockRow.id)
            .limit(_AT_ONCE)
        )
        excess = (db.scalar(select(func.sum(BlockRow.bytes))) or 0) - self._most_bytes
        gone: list[str] = []
        while excess > 0 and (oldest := list(db.scalars(rows))):
            for row in oldest:
                if excess > 0:
                    excess -= row.bytes
                    gone.append(row.id)
                    db.delete(row)
            db.flush()
        if gone:
            # files go when it is certain that their rows have
            event.listen(db, "after_commit", lambda _: self._unlink(gone), once=True)

    def _write(self, block: Block) -> None:
        path = self._path(block.header.id)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(block.header.model_dump_json().encode() + b"\n" + block.data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unlink(self, ids: Iterable[str]) -> None:
        for each in ids:
            self._path(each).unlink(missing_ok=True)

    def _path(self, id_: str) -> Path:
        return self.folder / f"{id_}{_ENDING}"


def stand_on(db: Session, ids: Iterable[str], now: datetime) -> None:
    """Note that an event stands on blocks, be they here or still to come."""
    for each in ids:
        mark = db.get(KeptBlock, each)
        if mark is None:
            db.add(KeptBlock(id=each, by="", is_evidence=True, since=now))
            db.flush()
        else:
            mark.is_evidence = True


def stand_no_longer(db: Session, before: datetime) -> None:
    """Forget what events of before a time stood on."""
    db.execute(delete(KeptBlock).where(KeptBlock.is_evidence, KeptBlock.by == "", KeptBlock.since < before))


def let_go(db: Session, id_: str) -> None:
    """Take back that somebody keeps a block; as evidence of an event it stays."""
    mark = db.get(KeptBlock, id_)
    if mark is None:
        return
    mark.by = ""
    if not mark.is_evidence:
        db.delete(mark)
