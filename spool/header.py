"""The first 100 bytes of a SQLite file: those that are the same in every spool, to check them and to put them right.

https://www.sqlite.org/fileformat.html, chapter 1.3. One wrong bit here makes SQLite refuse the file, or open it for
reading only, though every record in it is whole.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

APPLICATION_ID: Final = 0x53504F4C  # "SPOL"
VERSION: Final = 2
PAGE_BYTES: Final = 4096

_START: Final = b"SQLite format 3\0" + struct.pack(">HBBBBBB", PAGE_BYTES, 2, 2, 0, 64, 32, 32)
_LAST_ROOT: Final = 10
"""The page where the last table or index begins: SQLite keeps those in front, since the file may be made smaller."""
# schema format 4, default cache size, last root, UTF-8, user version, incremental vacuum, application id
_MIDDLE: Final = struct.pack(">7I", 4, 0, _LAST_ROOT, 1, VERSION, 1, APPLICATION_ID)
_MIDDLE_AT: Final = 44


def is_sound(path: Path) -> bool:
    """Whether the file starts as a spool does; an empty one, not yet made, does too. Raises OSError."""
    with path.open("rb") as file:
        header = file.read(100)
    return not header or (
        len(header) == 100
        and header.startswith(_START)
        and header[_MIDDLE_AT : _MIDDLE_AT + len(_MIDDLE)] in (_MIDDLE, bytes(len(_MIDDLE)))
    )


def repair(path: Path) -> None:
    """Write the bytes that are the same in every spool. Raises OSError."""
    with path.open("r+b") as file:
        file.write(_START)
        file.seek(_MIDDLE_AT)
        file.write(_MIDDLE)
