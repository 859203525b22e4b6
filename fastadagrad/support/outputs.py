"""Writing of output: a regular file is replaced as a whole or not at all; a pipe or a device is written into."""

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
IN_MEMORY = 1 << 26  # bytes of output for a pipe or a device that are held in memory; longer output is held on the disk
# Errors of the system for a file that may be written to, but not replaced: it is a mount point, or its folder is
# read-only or has a sticky bit.
IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)


def check(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before the work whose result is to go there.

    Nothing is written. A pipe is not opened, as its reader would take closing it for the end of the output.

    Raises
    ------
    OSError
        If `path` is a folder, may not be written, or is in a folder that does not exist or takes no new files.
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

    If `path` is no regular file (but a pipe, a device, ``/dev/stdout``), the content is written into it once it is
    whole. So it is for a file that cannot be replaced, as it is a mount point or its folder is read-only.

    Raises
    ------
    OSError
        If `path` cannot be written; the error names it.
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
    """Let errors name the path that was given instead of a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(SUFFIX)):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def _target(path: str | os.PathLike[str]) -> str:
    """The regular file that a path leads to through symbolic links, whether it exists or not."""
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
    """A new file in the target's folder; None if the folder takes none, but the target itself can be written."""
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
    """Replace the old file by the new one; False if the system does not allow it."""
    try:
        os.replace(temporary, target)
    except OSError as error:
        if _may_be_written_into(target, error):
            return False
        raise
    return True


def _pour_file(temporary: str, target: str) -> None:
    """Write the content of the temporary file into the target; if that fails, the temporary file is kept."""
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
        with suppress(OSError):  # a pipe cannot be synchronized
            os.fsync(descriptor)


def _duplicate(number: int) -> int:
    """Another descriptor of an open file, through which output stays in order with other output to the file."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or no file at all
            stream.flush()
    return os.dup(number)


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a pipe, a device or an open file, which is written into and not replaced."""
    if _own_descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _own_descriptor(path: str | os.PathLike[str]) -> int | None:
    """The number of the open file that a path stands for, as /dev/stdout stands for 1; None if it stands for none.

    If standard output is a regular file, /dev/stdout leads to it; to replace that file would lose the earlier output.
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
        import fcntl  # systems with such paths have this module

        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is open for reading only", os.fspath(path))
    elif stat.S_ISSOCK(os.stat(path).st_mode):
        raise OSError(errno.ENXIO, "it is a socket", os.fspath(path))
    elif not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def _sync_folder(folder: str) -> None:
    """Write the renaming of a file to the disk, on systems that let a folder be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
