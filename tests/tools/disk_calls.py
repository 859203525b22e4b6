"""The calls of a process to a simulated disk: what stands for `os`, `os.path`, `open` and open files."""

import errno
import io
import os
import posixpath
import stat
import time
from types import SimpleNamespace

from durable_disk import File, Folder, Killed


class Handle(io.RawIOBase):
    """An open file of a process."""

    def __init__(self, disk, file, path, readable, writable, appends=False):
        super().__init__()
        self._disk, self._file, self._life, self._at, self._appends = disk, file, disk.life, 0, appends
        self._can_read, self._can_write = readable, writable
        self.name = path
        self._number = disk.numbered(self)

    @property
    def file(self):
        return self._file

    def _called(self, kind):
        """Count a call; False if the process has ended, whose last buffers Python empties into nothing."""
        if self._life != self._disk.life or self._disk.dead:
            return False
        self._disk.called(kind, self._number)
        return True

    def fileno(self):
        return self._number

    def readable(self):
        return self._can_read

    def writable(self):
        return self._can_write

    def seekable(self):
        return True

    def readinto(self, buffer):
        if not self._called("read"):
            raise Killed
        part = self._file.content[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def write(self, data):
        data = bytes(data)
        if not self._called("write"):
            return len(data)
        disk = self._disk
        at = len(self._file.content) if self._appends else self._at
        if disk.faults.short and len(data) > 1 and disk.choices.chance(disk.faults.short):
            data = data[: 1 + disk.choices.below(len(data) - 1)]
        growth = max(0, at + len(data) - len(self._file.content))
        if growth > disk.space:
            data = data[: len(data) - (growth - disk.space)]
            growth = disk.space
            if not data:
                disk.failed += 1
                disk.choices.note("     fails: ENOSPC")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        disk.space -= growth
        disk.choices.note("     %d bytes at %d", len(data), at)
        self._file.write(at, data)
        self._at = at + len(data)
        return len(data)

    def truncate(self, size=None):
        if self._called("truncate"):
            self._file.resize(self._at if size is None else size)
        return size

    def seek(self, offset, whence=0):
        self._at = offset + (0, self._at, len(self._file.content))[whence]
        return self._at

    def tell(self):
        return self._at

    def let_go(self):
        if self._file.holder is self:
            self._file.holder = None

    def close(self):
        if not self.closed:
            super().close()
            self.let_go()
            self._disk.handles.pop(self._number, None)
            self._called("close")


class OpenFolder:
    """A folder that a process has opened, to synchronise it."""

    def __init__(self, folder):
        self.folder = folder

    def let_go(self):
        pass


class Paths:
    """What `os.path` is to the process; there are no symbolic links on the disk."""

    split, join, dirname = staticmethod(posixpath.split), staticmethod(posixpath.join), staticmethod(posixpath.dirname)
    basename, abspath = staticmethod(posixpath.basename), staticmethod(posixpath.normpath)

    def __init__(self, system):
        self._system = system

    def realpath(self, path):
        return posixpath.normpath(path)

    def islink(self, path):
        return False

    def exists(self, path):
        try:
            self._system.stat(path)
        except OSError:
            return False
        return True

    def _is(self, path, kind):
        try:
            return kind(self._system.stat(path).st_mode)
        except OSError:
            return False

    def isfile(self, path):
        return self._is(path, stat.S_ISREG)

    def isdir(self, path):
        return self._is(path, stat.S_ISDIR)


class System:
    """What the module `os` is to the process: the calls that writing and reading of files make, and no others."""

    name, sep, altsep, curdir = "posix", "/", None, "."
    O_RDONLY, O_WRONLY, O_ACCMODE, W_OK = os.O_RDONLY, os.O_WRONLY, os.O_ACCMODE, os.W_OK
    PathLike, strerror, fspath, getpid = os.PathLike, staticmethod(os.strerror), staticmethod(os.fspath), os.getpid

    def __init__(self, current):
        self._current, self.path = current, Paths(self)  # `current` gives the disk of the simulation under way

    def stat(self, path):
        disk = self._current()
        disk.called("stat", os.fspath(path))
        return self._about(disk.found(path))

    def fstat(self, number):
        disk = self._current()
        disk.called("fstat", number)
        return self._about(disk.handles[number].file)

    def _about(self, entry):
        kind = stat.S_IFDIR if isinstance(entry, Folder) else stat.S_IFREG
        size = 0 if isinstance(entry, Folder) else len(entry.content)
        return SimpleNamespace(st_mode=kind | entry.mode, st_uid=0, st_gid=0, st_size=size, st_mtime=time.time())

    def access(self, path, mode):
        return True

    def fchmod(self, number, mode):
        disk = self._current()
        disk.called("fchmod", number)
        disk.handles[number].file.mode = mode

    def listdir(self, path):
        disk = self._current()
        disk.called("listdir", os.fspath(path))
        return [*disk.found(path).entries]

    def mkdir(self, path, mode=0o777):
        disk = self._current()
        disk.called("mkdir", os.fspath(path))
        folder, name = disk.place(path)
        if name is None or name in folder.entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
        folder.change(name, Folder())

    def unlink(self, path):
        disk = self._current()
        disk.called("unlink", os.fspath(path))
        disk.found(path)
        folder, name = disk.place(path)
        folder.change(name, None)

    def replace(self, old, new):
        disk = self._current()
        disk.called("replace", os.fspath(old))
        (folder, name), (target, new_name) = disk.place(old), disk.place(new)
        assert folder is target
        folder.change(new_name, disk.found(old), gone=name)

    def open(self, path, flags, mode=0o777):
        disk = self._current()
        disk.called("open", os.fspath(path))
        assert flags == os.O_RDONLY
        return disk.numbered(OpenFolder(disk.found(path)))

    def close(self, number):
        disk = self._current()
        disk.handles.pop(number, None)
        disk.called("close", number)

    def fsync(self, number):
        disk = self._current()
        handle = disk.handles[number]
        of_folder = isinstance(handle, OpenFolder)
        entry = handle.folder if of_folder else handle.file
        try:
            disk.called("fsync folder" if of_folder else "fsync", number)
        except OSError:
            if not of_folder and disk.choices.chance(0.5):
                entry.lose_what_is_pending()
            raise
        entry.synchronise()


def opened(disk, path, mode="r", buffering=-1):
    """What the function `open` is to the process."""
    path = os.fspath(path)
    disk.called("open", path)
    folder, name = disk.place(path)
    entry = folder.entries.get(name)
    kind = mode.replace("b", "").replace("+", "")
    if isinstance(entry, Folder):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if kind == "x" and entry is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if kind == "r" and entry is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if entry is None:
        entry = File()
        folder.change(name, entry)
    elif kind == "w":
        entry.resize(0)
    both = "+" in mode
    raw = Handle(disk, entry, path, both or kind == "r", both or kind != "r", kind == "a")
    if buffering == 0:
        return raw
    return io.BufferedRandom(raw) if both else io.BufferedReader(raw) if kind == "r" else io.BufferedWriter(raw)
