"""A file system in memory that knows what a failure of the power may take: the model behind `simulated_disk`.

What is written into a file is kept for sure only once the file is synchronised; what is made, renamed or deleted in a
folder only once the folder is. Before that a failure of the power may take or leave any of it: sectors of 512 bytes
singly, changes of a folder in any order. A process that is killed takes nothing with it but its locks.
"""

import errno
import os
import posixpath
from itertools import count

SECTOR = 512
ROOT = "/disk"
FAILING = ("open", "write", "fsync", "fsync folder", "replace", "unlink", "stat", "fstat", "listdir", "read", "close")
FAILING += ("truncate", "fchmod", "mkdir", "flock", "seek")


class Killed(BaseException):
    """The end of the simulated process, raised by the call in which it is killed and by all later ones."""


class File:
    """A regular file: `content` is what processes see, `durable` with some of `pending` what a failure leaves."""

    def __init__(self, content=b"", mode=0o644):
        self.content, self.durable, self.pending = bytearray(content), bytes(content), []
        self.mode = self.durable_mode = mode
        self.holder = None  # the handle that has locked it

    def write(self, at, data):
        self.pending.append((at, bytes(data)))
        self._apply(self.content, at, data)

    def resize(self, size):
        self.pending.append((size, None))
        self._apply(self.content, size, None)

    @staticmethod
    def _apply(content, at, data):
        end = at if data is None else at + len(data)
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        if data is None:
            del content[at:]
        else:
            content[at:end] = data

    def synchronise(self):
        versions = [*self._versions()]
        self.durable, self.pending, self.durable_mode = bytes(versions[-1]), [], self.mode

    def lose_what_is_pending(self):
        """As after an error in synchronising: processes still see it, but nobody will write it any more."""
        self.pending = []

    def _versions(self):
        content = bytearray(self.durable)
        yield bytes(content)
        for at, data in self.pending:
            self._apply(content, at, data)
            yield bytes(content)

    def fail(self, choices):
        """Have what a failure of the power leaves: each sector, and the size, as of some moment since it was kept."""
        versions, how = [*self._versions()], choices.below(4)
        if how == 0 or not self.pending:
            kept = versions[0]
        elif how == 1:
            kept = versions[-1]
        else:
            size = len(choices.one_of(versions))
            starts = range(0, size, SECTOR)
            parts = [choices.one_of(versions)[at : at + SECTOR] for at in starts]
            kept = b"".join(part.ljust(SECTOR, b"\0") for part in parts)[:size]
        self.mode = choices.one_of([self.mode, self.durable_mode])
        self.content, self.durable, self.pending, self.holder = bytearray(kept), kept, [], None
        self.durable_mode = self.mode


class Folder:
    """Entries by name, files or folders: `pending` are changes that a failure of the power may take, in any order."""

    def __init__(self):
        self.entries, self.durable, self.pending = {}, {}, []
        self.mode = 0o755

    def change(self, name, entry, gone=None):
        """Give a name another entry, or None; `gone` is the name that it had before."""
        self.pending.append((name, entry, gone))
        self._apply(self.entries, name, entry, gone)

    @staticmethod
    def _apply(entries, name, entry, gone):
        if gone is not None:
            entries.pop(gone, None)
        if entry is None:
            entries.pop(name, None)
        else:
            entries[name] = entry

    def synchronise(self):
        for change in self.pending:
            self._apply(self.durable, *change)
        self.pending = []

    def fail(self, choices):
        how = choices.below(4)
        if how == 0:
            kept = []
        elif how == 1:
            kept = self.pending[: choices.below(len(self.pending) + 1)]
        else:
            kept = choices.some_of(choices.shuffled(self.pending) if how == 2 else self.pending)
        for change in kept:
            self._apply(self.durable, *change)
        self.entries, self.pending = dict(self.durable), []
        for entry in self.entries.values():
            entry.fail(choices)


class Faults:
    """What goes wrong in the life of a process: its end at a call, errors of the system, short writes."""

    def __init__(self, killed_at=None, errors=(), lasting=False, short=0.0):
        self.killed_at, self.errors, self.lasting, self.short = killed_at, dict(errors), lasting, short


class Disk:
    """The file system, and the process that uses it: its calls are counted, and go wrong where `faults` say so."""

    def __init__(self, choices):
        self.choices, self.top, self.root, self.space = choices, Folder(), Folder(), 1 << 40
        self.top.change(ROOT.strip("/"), self.root)
        self.top.synchronise()
        self.life, self.calls, self.faults, self.dead = 0, 0, Faults(), False
        self.kinds, self.failed, self.handles, self._numbers = {}, 0, {}, count(1000)

    def numbered(self, handle):
        """The descriptor of a new handle."""
        number = next(self._numbers)
        self.handles[number] = handle
        return number

    def begin(self, faults, space=1 << 40):
        """Start a new process; `space` is the number of bytes that files may still grow by."""
        self.life, self.calls, self.faults, self.dead = self.life + 1, 0, faults, False
        self.kinds, self.failed, self.handles, self.space = {}, 0, {}, space
        self.choices.note("-- process %d begins", self.life)

    def kill(self):
        """End the process: its locks are let go, its calls come to nothing."""
        self.dead = True
        for handle in self.handles.values():
            handle.let_go()
        self.choices.note("-- process %d ends after %d calls", self.life, self.calls)

    def fail(self):
        """End the process by a failure of the power."""
        self.kill()
        self.top.fail(self.choices)
        self.choices.note("-- the power has failed")

    def called(self, kind, path):
        """Count a call of the process, which ends in it, or is told of an error, if that is due."""
        if self.dead:
            raise Killed
        self.calls += 1
        self.choices.note("%4d %s %s", self.calls, kind, path)
        faults = self.faults
        if self.calls == faults.killed_at:
            self.kill()
            raise Killed
        if kind in faults.errors:
            number = self.kinds[kind] = self.kinds.get(kind, 0) + 1
            at = faults.errors[kind]
            if number == at or (faults.lasting and number > at):
                self.failed += 1
                self.choices.note("     fails: EIO")
                raise OSError(errno.EIO, os.strerror(errno.EIO), *([path] if isinstance(path, str) else []))

    def place(self, path):
        """The folder that a path is in, and its name there; OSError if there is no such folder."""
        path = os.fspath(path)
        parts, folder = [part for part in posixpath.normpath(path).split("/") if part], self.top
        for part in parts[:-1]:
            folder = folder.entries.get(part)
            if not isinstance(folder, Folder):
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return folder, parts[-1] if parts else None

    def found(self, path):
        """The file or folder at a path; OSError if there is none."""
        folder, name = self.place(path)
        entry = folder if name is None else folder.entries.get(name)
        if entry is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
        return entry

    def content(self, path):
        """What processes see at a path; None if there is no file. This is no call of the process."""
        folder, name = self.place(path)
        entry = folder.entries.get(name)
        return bytes(entry.content) if isinstance(entry, File) else None
