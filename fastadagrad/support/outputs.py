"""Where output goes: a regular file is replaced as a whole or not at all; a pipe or a device is written into."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from typing import IO

SUFFIX = ".tmp"
IN_MEMORY = 1 << 26  # bytes for a pipe or a device; what is longer waits on the disk
# What the system says where a file may be written to, but no other may take its place: it is a mount point, its folder
# is read-only, or the folder has a sticky bit.
IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)


def check(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before the work whose result is to go there.

    Nothing is written, and a pipe is not opened: its reader would take that for the end.

    Raises
    ------
    OSError
        Naming `path`: if it is a folder, its folder is not there or takes no files, or nobody may write to it.
    """
    with _naming(path):
        if _is_stream(path):
            _check_stream(path)
            return
        beside = _open_beside(_target(path))
        if beside is not None:
            beside.close()
            os.unlink(beside.name)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` once it is whole and on the disk.

    What is no regular file (a pipe, a device, ``/dev/stdout``) gets the content written into it once that is whole; and
    so does a file whose place no other can take, as it is a mount point or its folder is read-only.

    Raises
    ------
    OSError
        Naming `path`, if it cannot be written.
    """
    with _naming(path):
        target = None if _is_stream(path) else _target(path)
        beside = None if target is None else _open_beside(target)
        if target is None or beside is None:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as content:
                yield content
                _pour(content, path)
            return
        try:
            with beside as content:
                yield content
                content.flush()
                os.fsync(content.fileno())
            replaced = _take_place(beside.name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside.name)
            raise
        if replaced:
            _sync_folder(os.path.dirname(target))
        else:
            _pour_file(beside.name, target)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors name the path that was given, not a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(SUFFIX)):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def _target(path: str | os.PathLike[str]) -> str:
    """The regular file, be it there or not, that a path leads to, through symbolic links."""
    name = os.fspath(path)
    try:
        is_folder = stat.S_ISDIR(os.stat(name).st_mode)
    except FileNotFoundError:
        if not name:
            raise
        is_folder = name.endswith((os.sep, os.altsep or os.sep))
    if is_folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return os.path.realpath(name)


def _open_beside(target: str) -> BufferedRandom | None:
    """A new file in the target's folder; None where there can be none, but the target itself can be written to."""
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(6)}{SUFFIX}")
    try:
        return open(temporary, "x+b")
    except OSError as error:
        if _may_be_written_into(target, error):
            return None
        raise


def _may_be_written_into(target: str, error: OSError) -> bool:
    return error.errno in IN_PLACE and os.path.isfile(target) and os.access(target, os.W_OK)


def _take_place(temporary: str, target: str) -> bool:
    """Whether the new file is where the old one was."""
    try:
        os.replace(temporary, target)
    except OSError as error:
        if _may_be_written_into(target, error):
            return False
        raise
    return True


def _pour_file(temporary: str, target: str) -> None:
    """Write one file's content into another; if that fails, the former stays."""
    try:
        with open(temporary, "rb") as content:
            _pour(content, target)
    except OSError as error:
        reason = f"{error.strerror} (all that was to be written is in {temporary})"
        raise OSError(error.errno, reason, target) from None
    os.unlink(temporary)


def _pour(content: IO[bytes], path: str | os.PathLike[str]) -> None:
    content.seek(0)
    number = _own_descriptor(path)
    if number is None:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_BINARY", 0))
    else:
        descriptor = _duplicate(number)
    with open(descriptor, "wb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
        out.flush()
        with suppress(OSError):  # of a pipe there is nothing to wait for
            os.fsync(descriptor)


def _duplicate(number: int) -> int:
    """Another descriptor of an open file, so that what was written to it, and will be, stays in order."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or no file at all
            stream.flush()
    return os.dup(number)


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to something that bytes go into, rather than a place for a file."""
    if _own_descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _own_descriptor(path: str | os.PathLike[str]) -> int | None:
    """The number of the open file that a path stands for, as /dev/stdout does for 1.

    Where standard output is a regular file, that path leads to it; but to replace the file would lose what is in it.
    """
    name = os.fspath(path)
    for _ in range(40):  # as many symbolic links as Linux follows
        folder, last = os.path.split(name)
        folder = os.path.realpath(folder)
        if last.isdecimal() and re.fullmatch(rf"/dev/fd|/proc/{os.getpid()}(/task/[0-9]+)?/fd", folder):
            return int(last)
        name = os.path.join(folder, last)
        if not os.path.islink(name):
            return None
        name = os.path.join(folder, os.readlink(name))
    return None


def _check_stream(path: str | os.PathLike[str]) -> None:
    number = _own_descriptor(path)
    if number is not None:
        import fcntl  # of systems that have such paths

        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is open for reading only", os.fspath(path))
    elif stat.S_ISSOCK(os.stat(path).st_mode):
        raise OSError(errno.ENXIO, "it is a socket", os.fspath(path))
    elif not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def _sync_folder(folder: str) -> None:
    """Make the renaming itself last; not every system lets a folder be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
