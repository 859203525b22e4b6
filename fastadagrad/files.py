"""One file of named arrays and a JSON header: a zip of .npy members, replaced as a whole or not at all."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .outputs import replacing

FORMAT = "fastadagrad"
VERSION = 1
HEADER = "header.json"

_DAMAGE = (
    zipfile.BadZipFile,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)


def write(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, whole.

    Parameters
    ----------
    path : path-like
        A symbolic link is followed. The file's mode is that of any new file (the umask holds). A pipe or a device is
        written into.
    kind : str
        What the file is; `read` must be told the same.
    header : mapping
        Fit for JSON.
    arrays : mapping of str to ndarray
        Any shapes and dtypes but object; any names.

    Raises
    ------
    TypeError, ValueError
        If the header is not fit for JSON, or an array holds Python objects.
    OSError
        If the disk is full, say: the old file is then as it was, and no other is left.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> from fastadagrad import files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.npz")
    ...     files.write(path, "example", {"n": 1}, {"a/b": np.arange(3)})
    ...     files.read(path, "example")
    ({'n': 1}, {'a/b': array([0, 1, 2])})
    """
    text = json.dumps({"format": FORMAT, "version": VERSION, "kind": kind, "arrays": list(arrays), "header": header})
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects; expected numbers")
    with replacing(path) as file:
        _write_zip(file, text, arrays)


def _write_zip(file: IO[bytes], header: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(HEADER, header)
        for number, array in enumerate(arrays.values()):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a file that `write` made with the same `kind`.

    Raises
    ------
    ValueError
        If the file is damaged, of another program, of another kind, or of a newer version.
    OSError
        If it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                about = json.loads(archive.read(HEADER))
                if not isinstance(about, dict) or about["format"] != FORMAT:
                    raise KeyError("format")
                _check_kind(path, about, kind)
                names = about["arrays"]
                return about["header"], {name: _read_array(archive, i) for i, name in enumerate(names)}
        except _Refused as reason:
            raise ValueError(str(reason)) from None
        except _DAMAGE as reason:
            raise ValueError(f"{path} is not a whole fastadagrad {kind} file: {reason}") from reason


class _Refused(Exception):
    """A whole file of ours that is not the one asked for."""


def _check_kind(path: str | os.PathLike[str], about: Mapping[str, Any], kind: str) -> None:
    version = about["version"]
    if not isinstance(version, int) or version < 1:
        raise KeyError("version")
    if version > VERSION:
        raise _Refused(
            f"{path} was written by a newer fastadagrad (file version {version}, this one reads up to "
            f"{VERSION}): upgrade fastadagrad"
        )
    if about["kind"] != kind:
        raise _Refused(f"{path} is a fastadagrad {about['kind']} file; expected kind: {kind}")


def _read_array(archive: zipfile.ZipFile, number: int) -> NDArray[Any]:
    with archive.open(f"{number}.npy") as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # to the end, where the checksum is compared
    return array
