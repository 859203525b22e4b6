"""One file of named arrays and a JSON header: a zip of .npy members, replaced as a whole or not at all.

`numpy.load` reads such a file too: a member has the name of its array if every system accepts it as a file's name, and
else the array's number.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from . import zips
from .asking import OF_ARGUMENTS, UNREADABLE, asking, path_text, refuse_unreadable, shown
from .contents import refusing_damage
from .outputs import naming, replacing

FORMAT = "fastadagrad"
VERSION = 2  # 1 numbers all members
HEADER = "header.json"
# How often a file is tried: Python's parser, which reads the headers of arrays, raises SystemError where memory is at
# an end and, up to Python 3.12, now and then while it parses something for another thread, too.
TRIED = 20

_FIT_FOR_A_FILE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(/[A-Za-z_][A-Za-z0-9_-]*)*")

Target = str | os.PathLike[str] | IO[bytes]  # a path, or a file object that is open already


def write(target: Target, kind: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, whole.

    Parameters
    ----------
    target : path-like or file object
        A symbolic link is followed; a file that is replaced keeps its mode and owner. A pipe or a device is written
        into. A file object must be open for writing bytes, at any position, and need not be able to seek. It
        stays open, and its former contents are not protected from a crash.
    kind : str
        Kind of the file; `read` must be given the same.
    header : mapping
        Values of types that JSON has.
    arrays : mapping of str to ndarray
        Arrays of any shapes, names and dtypes, except object.

    Raises
    ------
    TypeError, ValueError
        If JSON cannot hold the header, an array holds Python objects, or bytes cannot be written to the target.
    OSError
        If the file cannot be written, as when the disk is full; the old file is then as it was, and no other is left.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> from fastadagrad.support import array_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.npz")
    ...     array_file.write(path, "example", {"n": 1}, {"a/b": np.arange(3)})
    ...     array_file.read(path, "example")
    ({'n': 1}, {'a/b': array([0, 1, 2])})
    """
    target = _asked_once(target)
    members = _members_of(arrays)
    about = {"format": FORMAT, "version": VERSION, "kind": kind, "arrays": list(arrays), "members": members}
    text = json.dumps({**about, "header": header})
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects; expected numbers")
    if is_path(target):
        with replacing(target) as file:
            _write_zip(file, text, members, arrays)
    else:
        with naming(name_of(target)):
            _refuse_unwritable(target)
            _write_zip(_Onward(target), text, members, arrays)
            if hasattr(target, "flush"):
                target.flush()


def _members_of(names: Iterable[str]) -> list[str]:
    """Return the members' names: those of the arrays, or numbers for names that some systems refuse or fold by case."""
    names = list(names)
    times = Counter(name.lower() for name in names)
    fit = [_FIT_FOR_A_FILE.fullmatch(name) is not None and times[name.lower()] == 1 for name in names]
    return [f"{name if good else number}.npy" for number, (name, good) in enumerate(zip(names, fit, strict=True))]


def is_path(target: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a target is a path; TypeError if it is no file object either."""
    with asking("path", target):
        if isinstance(target, str | os.PathLike):
            return True
        if not (hasattr(target, "read") or hasattr(target, "write")):
            raise TypeError(f"path must be a path or a file object open in binary mode, not {type(target).__name__}")
        return False


def _asked_once(target: Target) -> str | IO[bytes]:
    """A path as a string, or a file object as it is."""
    if not is_path(target):
        return cast(IO[bytes], target)
    return path_text("path", target)


def name_of(target: Target) -> str:
    """A name for messages: a path as it is, or the name of a file object."""
    if is_path(target):
        return str(target)
    try:
        name = getattr(target, "name", None)
    except OF_ARGUMENTS:
        name = None
    return name if isinstance(name, str) and name else f"the {type(target).__name__}"


def _refuse_unwritable(file: Any) -> None:
    """Raise TypeError or ValueError, before anything is written, for a file object that does not take bytes."""
    try:
        file.write(b"")
    except TypeError:
        raise TypeError(f"{name_of(file)} is open in text mode: open it in binary mode, 'wb'") from None
    except (AttributeError, io.UnsupportedOperation):
        raise ValueError(f"{name_of(file)} is not open for writing: open it in binary mode, 'wb'") from None
    except UNREADABLE as error:
        refuse_unreadable("path", error)
        raise


class _Onward:
    """A wrapper of a file object that can only be written to, so that `zipfile` neither seeks nor asks where it is.

    Once a write has failed, all fail with that error: `zipfile` writes on while it closes, and what the file says then,
    as that it is closed, would hide the reason.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._failure: BaseException | None = None

    def write(self, content: Any) -> int:
        """Write all of the content, also if the file takes only some at a time."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._write(content)
        except BaseException as error:
            self._failure = error
            raise

    def _write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        while left:
            taken = self._file.write(left)
            if taken is None and isinstance(self._file, io.RawIOBase):
                raise BlockingIOError(f"{name_of(cast(Any, self._file))} would block: make it blocking")
            if taken is not None and (type(taken) is not int or not 0 < taken <= len(left)):
                raise OSError(f"{name_of(self._file)} has taken {shown(taken)} of {len(left)} bytes")
            left = left[len(left) if taken is None else taken :]
        return size

    def flush(self) -> None:
        """Do nothing between the parts of a file: the function `write` flushes once, at its end."""


def _write_zip(file: Any, header: str, members: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo of one's own has no time of day, so that files with the same contents are the same.
        archive.writestr(zipfile.ZipInfo(HEADER), header)
        for name, array in zip(members, arrays.values(), strict=True):
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def header_of(path: str) -> Any:
    """The header of a file that `write` made, of any kind; its arrays are not read.

    Raises
    ------
    ValueError
        If it is none.
    OSError
        If the file cannot be read.
    """
    with (
        refusing_damage(f"{path} is not a whole fastadagrad file", sizes_are_checked=True),
        zipfile.ZipFile(path) as archive,
    ):
        return json.loads(archive.read(HEADER))["header"]


def read(source: Target, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a file that `write` made with the same `kind`.

    Parameters
    ----------
    source : path-like or file object
        A file object must be open for reading bytes; it is read from its position to its end.
    kind : str
        Kind of the file, as given to `write`.

    Raises
    ------
    TypeError
        If the source is neither a path nor a file object that gives bytes.
    ValueError
        If the file is damaged, of another program, of another kind, or of a newer version; or if it holds several
        files, as a file object does that has been saved to more than once.
    OSError
        If the file cannot be opened.
    """
    source = _asked_once(source)
    name = name_of(source)
    with _opened(source) if is_path(source) else _remaining(source) as file:
        for _ in range(TRIED):
            with suppress(SystemError):
                return _read(file, name, kind, is_path(source))
        raise MemoryError(f"there is not enough memory to read {name}")


def _read(file: IO[bytes], name: str, kind: str, of_path: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        complaint = f"{name} is not a whole fastadagrad {kind} file"
        with refusing_damage(complaint, sizes_are_checked=True), zipfile.ZipFile(file) as archive:
            before = zips.beginning_of(archive)
            if before:
                raise _Refused(f"{name} holds {before} bytes of something else before the file: seek behind them")
            if not zips.is_last(file, archive):
                raise _Refused(f"{name} holds something else behind the file: take it away")
            _check_sizes(file, archive)
            about = json.loads(archive.read(HEADER))
            _check_kind(name, about, kind)
            names = _checked_names(about["arrays"])
            numbered = about["version"] == 1
            members = [f"{i}.npy" for i in range(len(names))] if numbered else _checked_names(about["members"])
            arrays = {name: _read_array(archive, each) for name, each in zip(names, members, strict=True)}
            return about["header"], arrays
    except (_Refused, ValueError) as reason:
        several = _several_in(file, name, of_path)
        kind_of_error = ValueError if several is None and isinstance(reason, _Refused) else Damaged
        raise kind_of_error(several or str(reason)) from None


def _several_in(file: IO[bytes], name: str, of_path: bool) -> str | None:
    """Advice for a file that holds several archives, the first of them whole; None if it does not."""
    file.seek(0)
    content = file.read()
    ends = zips.ends_of(content)
    if not ends or ends == [len(content)]:
        return None
    begin_anew = "before saving to it anew, seek(0) and truncate()"
    more = len(content) - ends[-1]
    if more:
        return (
            f"{name} holds {more} bytes more behind the {ends[-1]} of a whole file, as where a shorter one has been "
            f"saved over a longer one: take them away; {begin_anew}"
        )
    at, how = ends[-2], "open it, seek there, and load from that" if of_path else "seek there to load it"
    where = f"at byte {at}" if of_path else f"{at} bytes after where it stood"
    return f"{name} holds {len(ends)} files, saved one after another; the last begins {where}: {how}; {begin_anew}"


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file in which `zipfile` can seek; a pipe is read into memory."""
    file = open(path, "rb")  # noqa: SIM115  closed by whoever called this
    if file.seekable():
        return file
    with file:
        return io.BytesIO(file.read())


def _remaining(file: Any) -> IO[bytes]:
    """The rest of a file object, from its position on; TypeError or ValueError if it gives no bytes."""
    try:
        content = file.read()
    except (AttributeError, io.UnsupportedOperation):
        raise ValueError(f"{name_of(file)} is not open for reading: open it in binary mode, 'rb'") from None
    except UnicodeDecodeError:
        content = ""
    except UNREADABLE as error:
        refuse_unreadable("path", error)
        raise
    if isinstance(content, str):
        raise TypeError(f"{name_of(file)} is open in text mode: open it in binary mode, 'rb'")
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(f"{name_of(file)} must give bytes, not {shown(content)}")
    if not content:
        raise ValueError(f"{name_of(file)} has nothing to read from where it stands: after writing, seek(0)")
    return io.BytesIO(content)


class Damaged(ValueError):
    """The error for a file that is not whole, as opposed to one of another kind or of a newer version."""


class _Refused(Exception):
    """A file that `write` made, but that is of another kind or version, or that holds several files."""


def _check_kind(path: str, about: Any, kind: str) -> None:
    if not isinstance(about, dict) or about["format"] != FORMAT:
        raise KeyError("format")
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


def _checked_names(names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("the names of its arrays are no list of strings")
    if len({*names}) < len(names):
        raise ValueError("two of its arrays have one name")
    return names


def _check_sizes(file: IO[bytes], archive: zipfile.ZipFile) -> None:
    """Refuse what is compressed, and more than there is, so that no small file can take much memory."""
    sizes = 0
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"its member {member.filename!r} is compressed, as fastadagrad writes none")
        sizes += member.file_size
    if sizes > file.seek(0, io.SEEK_END):
        raise ValueError(f"its members would be of {sizes} bytes together, which are more than it has")


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        shape, dtype = _header_of(member)
        expected = member.tell() + math.prod(shape) * dtype.itemsize
    if expected != size:
        raise ValueError(f"its member {name!r} has {size} bytes, and its array would have {expected}")
    with archive.open(name) as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        member.read()  # `zipfile` compares the checksum only at the end of a member
    return array


def _header_of(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the array in a .npy file, which is read up to the array's bytes."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(member)
    if version not in readers:
        raise ValueError(f"it has an array in version {version} of the format .npy, which fastadagrad never writes")
    shape, _, dtype = readers[version](member)
    return shape, dtype
