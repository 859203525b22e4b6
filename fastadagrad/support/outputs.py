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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from typing import IO

SUFFIX = ".tmp"
ABANDONED_AFTER = 3600  # seconds after which, where files cannot be locked, nobody is taken to write to one any more
IN_MEMORY = 1 << 26  # bytes of output for a pipe or a device that are held in memory; longer output is held on the disk
# Errors of the system for a file that may be written to, but not replaced: it is a mount point, or its folder is
# read-only or has a sticky bit.
IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
# Errors of a system that lets no folder be opened, or none be synchronized; other errors tell of a failing disk.
NO_FOLDERS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.EINVAL, errno.EBADF),
    *(errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP),
)


def check(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before the work whose result is to go there.

    Nothing is written. A pipe is not opened, as its reader would take closing it for the end of the output.

    Raises
    ------
    OSError
        If `path` is a folder, may not be written, or is in a folder that does not exist or takes no new files.
    """
    with naming(path):
        if _is_stream(path):
            _check_stream(path)
            return
        beside = _open_beside(_target(path))
        if beside is not None:
            beside.close()
            with suppress(FileNotFoundError):
                os.unlink(beside.name)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` once it is whole and on the disk.

    If `path` is no regular file (but a pipe, a device, ``/dev/stdout``), the content is written into it once it is
    whole. So it is for a file that cannot be replaced, as it is a mount point or its folder is read-only.

    A file that is replaced keeps its mode and, if the system allows it, its owner and group. What killed processes have
    left beside it is deleted.

    Raises
    ------
    OSError
        If `path` cannot be written; the error names it. The old file is as it was then, but for an error of the disk
        after the new file has taken its place, which says so.
    """
    with naming(path):
        target = None if _is_stream(path) else _target(path)
        beside = None if target is None else _open_beside(target)
        if target is None or beside is None:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as content:
                yield content
                _pour(content, path)
            return
        try:
            yield beside
            beside.flush()
            os.fsync(beside.fileno())
            if os.name == "nt":  # elsewhere it is open, and so claimed, until it has its place
                beside.close()
            replaced = _take_place(beside.name, target)
        except BaseException:
            with suppress(OSError):
                beside.close()
            with suppress(OSError):
                os.unlink(beside.name)
            raise
        beside.close()
        if replaced:
            keep_names_in(os.path.dirname(target), path)
        else:
            _pour_file(beside.name, target)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let errors of the system name the file that was given, instead of a temporary one or none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(SUFFIX)):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def clear_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete what processes that were killed while they wrote this file have left beside it."""
    _clear_leftovers(*os.path.split(os.fspath(path)))


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
    _clear_leftovers(folder, name)
    while True:
        temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(6)}{SUFFIX}")
        try:
            beside = open(temporary, "x+b")  # noqa: SIM115  closed by whoever called this
        except OSError as error:
            if _may_be_written_into(target, error):
                return None
            raise
        try:
            if _is_claimed(beside):
                _make_alike(beside, target)
                return beside
            beside.close()  # another process has taken it for a leftover before it was claimed
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            beside.close()
            raise


def _is_claimed(file: BufferedRandom) -> bool:
    """Claim a new file as long as it is open, so that nobody deletes it as a leftover; False if somebody has."""
    if lock(file.fileno()) is False:
        return False
    try:
        os.stat(file.name)
    except FileNotFoundError:
        return False
    return True


def lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed: True, False if it is locked already, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # on Windows, where an open file cannot be deleted
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _clear_leftovers(folder: str, name: str) -> None:
    """Delete what processes that were killed while they wrote this file have left."""
    clear_leftovers_of(folder, re.compile(re.escape(name[:40])))


def clear_leftovers_of(folder: str, names: re.Pattern[str]) -> None:
    """Delete what killed processes have left of files whose names, of 40 characters at most, match a pattern."""
    leftover = re.compile(rf"\.(?:{names.pattern})\.[0-9a-f]{{12}}{re.escape(SUFFIX)}")
    with suppress(OSError):
        for other in [each for each in os.listdir(folder or os.curdir) if leftover.fullmatch(each)]:
            path = os.path.join(folder, other)
            with suppress(OSError), open(path, "rb") as file:
                locked = lock(file.fileno())
                old = time.time() - os.fstat(file.fileno()).st_mtime > ABANDONED_AFTER
                if locked or (locked is None and old):
                    os.unlink(path)


def _make_alike(file: BufferedRandom, target: str) -> None:
    """Give a new file the mode, and where that is allowed the owner and the group, of the file that it replaces."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return
    new = os.fstat(file.fileno())
    if hasattr(os, "fchown") and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        for owner, group in ((old.st_uid, old.st_gid), (-1, old.st_gid)):
            with suppress(OSError):
                os.fchown(file.fileno(), owner, group)
                break
    if hasattr(os, "fchmod"):
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) & 0o777)


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


def keep_names_in(folder: str, path: str | os.PathLike[str]) -> None:
    """Have the names of the files in a folder written to the disk, where the system can do that to a folder.

    Raises
    ------
    OSError
        If the disk fails; the error names `path`, whose content is written already.
    """
    try:
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in NO_FOLDERS:
            return
        reason = f"{error.strerror} (it is written, but might be lost if the machine stopped now: write it again)"
        raise OSError(error.errno, reason, os.fspath(path)) from None


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it, unless there is one; they are on the disk when this returns.

    Raises
    ------
    OSError
        If it cannot be made, or if there is something else at the path.
    """
    _make_folder(os.path.abspath(os.fspath(path)), path)


def _make_folder(name: str, path: str | os.PathLike[str]) -> None:
    """Make a folder that `path` leads to or through."""
    above = os.path.dirname(name)
    if not os.path.isdir(name):
        if above != name:
            _make_folder(above, path)
        try:
            os.mkdir(name)
        except FileExistsError:  # another process may have made it meanwhile
            is_folder = os.path.isdir(name)
            if not is_folder and name == os.path.abspath(os.fspath(path)):
                raise
            if not is_folder:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path)) from None
    keep_names_in(above, path)
