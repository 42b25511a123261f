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
        found = _of_archive(path, array) if path.suffix.lower() == ".npz" else np.load(path, allow_pickle=False)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ConfigurationError(f"{path} holds no plain numbers: {error}", _HINT) from error
    return _row(path, found)


def _of_archive(path: Path, array: str) -> npt.NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MOST_BYTES:
        raise ConfigurationError(f"{path} unpacks to {size / 1024**3:.1f} GiB, more than {_MOST_BYTES / 1024**3:.0f}")
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
