"""A recording of one sensor in a file of NumPy: one row of finite numbers, or what is wrong with it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shopfloor.errors import ConfigurationError

_MOST_BYTES: Final = 2 * 1024**3
"""Unpacked; a small npz can hold more than a machine has memory."""
_HINT: Final = "a recording is one row of numbers: numpy.savez(file, x=values)"


def read(path: Path, array: str = "") -> npt.NDArray[np.float64]:
    """Return the numbers of a `.npy` or `.npz` file; raise ConfigurationError for what holds no recording.

    `array` names one of several in an npz; without it `x` is meant, or the only one. Nothing in it is executed.
    """
    if path.suffix.lower() not in {".npz", ".npy"}:
        raise ConfigurationError(f"{path} is neither an npz nor an npy file", _HINT)
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path} is no file", _HINT)
        found = _of_archive(path, array) if path.suffix.lower() == ".npz" else _of_file(path)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}", "is its name right?") from error
    except (ValueError, EOFError, OverflowError, MemoryError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = str(error).partition("allow_pickle")[0].strip() or type(error).__name__
        raise ConfigurationError(f"{path} holds no plain numbers: {reason}", _HINT) from error
    return _row(path, found)


def _of_file(path: Path) -> npt.NDArray[Any]:
    _check_size(path, path.stat().st_size)
    # mapped, so that a head which promises more than the file has is told before there is room for it
    found: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _check_size(path: Path, size: int) -> None:
    if size > _MOST_BYTES:
        raise ConfigurationError(f"{path} has {size / 1024**3:.1f} GiB, more than {_MOST_BYTES / 1024**3:.0f}")


def _of_archive(path: Path, array: str) -> npt.NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        _check_size(path, sum(entry.file_size for entry in archive.infolist()))
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
        wanted = array or ("x" if "x" in names else names[0] if len(names) == 1 else "")
        if wanted not in names:
            what = f"no array {array!r}" if array else "several arrays and no x" if names else "no array"
            raise ConfigurationError(f"{path} has {what}", f"--array: one of {', '.join(names)}" if names else _HINT)
        return np.asarray(arrays[wanted])


def _row(path: Path, found: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if not (np.issubdtype(found.dtype, np.integer) or np.issubdtype(found.dtype, np.floating)):
        raise ConfigurationError(f"{path} has {found.dtype}, no real numbers", _HINT)
    if found.ndim != 1 and max(found.shape, default=0) != found.size:
        raise ConfigurationError(f"{path} has {' × '.join(map(str, found.shape))} numbers", _HINT)
    row = np.asarray(found, dtype=np.float64).ravel()
    if not row.size:
        raise ConfigurationError(f"{path} is empty", _HINT)
    if missing := int(np.count_nonzero(~np.isfinite(row))):
        raise ConfigurationError(
            f"{path}: {missing} of {row.size} numbers are not finite", "cut the recording where it has gaps"
        )
    return row
