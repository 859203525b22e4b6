"""The checkpoints of one run: numbered files in a folder, of which the newest are kept.

``checkpoint-00000007.npz`` is one to go on from. ``end-00000008.npz`` has the result of a run that has come to its end.
The numbers only tell which file is newer. A checkpoint of several processes has parts, in files whose names begin with
its own.
"""

from __future__ import annotations

import errno
import os
import re
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from . import outputs, parted_file
from .array_file import Damaged
from .asking import path_text, shown
from .checks import whole_number
from .intervals import interval_of
from .log import logger

CHECKPOINT, END = "checkpoint", "end"
_NAME = re.compile(rf"({CHECKPOINT}|{END})-([0-9]{{8,}})\.npz")
_PART = re.compile(f"({_NAME.pattern}){parted_file.SUFFIX}")
Contents = TypeVar("Contents")
Value = TypeVar("Value")


class Unwritten(OSError):
    """The error at the end of a run whose last checkpoint could not be written; all else of the run is done."""


class Numbered(NamedTuple):
    """A file of a folder."""

    number: int
    ended: bool  # whether it has the result of a run that has ended
    path: str


class Processes(Protocol):
    """The processes that write the checkpoints of one run together, to a folder that all of them see."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that claims the folder, and deletes what is in it."""

    def of_leader(self, function: Callable[[], Value]) -> Value:
        """What a function returns in the process that leads; what it raises there, all raise."""


class Alone:
    """The only process."""

    leads = True

    def of_leader(self, function: Callable[[], Value]) -> Value:
        return function()


ALONE: Processes = Alone()


def files_in(folder: str) -> list[Numbered]:
    """The checkpoints in a folder, the newest first; of one number, the end of a run comes first."""
    found = [(_NAME.fullmatch(name), name) for name in os.listdir(folder)]
    files = [Numbered(int(m[2]), m[1] == END, os.path.join(folder, name)) for m, name in found if m is not None]
    return sorted(files, reverse=True)


def newest_sound(
    files: list[Numbered], read: Callable[[str], Contents], tell: Callable[[str], object]
) -> tuple[Numbered, Contents] | None:
    """The newest of some files that is whole, and what `read` makes of it; None if there are no files.

    `tell` gets a line for each file that is passed over.

    Raises
    ------
    ValueError
        If none of them is whole, or if one that is newer than all whole ones is of another kind or a newer version.
    OSError
        If a file cannot be read, except where the disk has lost it.
    """
    for file in files:
        try:
            return file, read(file.path)
        except FileNotFoundError:  # another process has deleted it, as there is a newer one
            continue
        except (Damaged, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EIO:
                raise
            tell(f"{error}: the checkpoint before it is taken")
    if files:
        folder, name = os.path.split(files[0].path)
        raise ValueError(
            f"none of the {len(files)} checkpoints in {folder} is whole, from {name} on: to begin anew, give another "
            "folder"
        )
    return None


class Checkpoints:
    """The files that a run writes to its folder.

    Parameters
    ----------
    folder : path-like
        Made if it is missing.
    every : int, str or timedelta
        As `fastadagrad.support.intervals.interval_of` takes it.
    keep : int or None
        How many of the newest checkpoints are kept; None: all.
    resume : bool
        Whether the run goes on from what is in the folder, if there is something.
    tell : callable
        Gets a line for each file that cannot be read or written.
    processes : Processes, optional
        The processes that write the files together, all of which make the same calls.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, or the folder has checkpoints and `resume` is False.
    OSError
        If the folder cannot be made, or takes no files.
    """

    def __init__(
        self,
        folder: Any,
        every: Any,
        keep: Any,
        resume: bool,
        tell: Callable[[str], object],
        processes: Processes = ALONE,
    ) -> None:
        self._interval, self.resume, self._tell = interval_of("every", every), resume, tell
        self._processes = processes
        self._keep = None if keep is None else whole_number("keep", keep, 1)
        self._folder = _checked_folder(folder)
        self._number = 0  # of the latest file that was taken or written
        self._lock: _Lock | None = None
        self.failure: OSError | None = None  # of the latest file, if it could not be written
        if os.path.exists(self._folder) and not os.path.isdir(self._folder):
            raise NotADirectoryError(errno.ENOTDIR, "checkpoint must be a folder, and this is none", self._folder)
        outputs.make_folder(self._folder)
        outputs.check(self._path(1, ended=False))
        self._refuse_others()

    def _refuse_others(self) -> None:
        files = files_in(self._folder)
        if files and not self.resume:
            raise ValueError(
                f"checkpoint: {self._folder} has checkpoints of an earlier run, {os.path.basename(files[0].path)} the "
                "newest: go on from them (resume=True, or --resume), or give another folder"
            )

    def begin(self) -> None:
        """Claim the folder for this run, and delete what a killed one has left of files that it was writing.

        Raises
        ------
        ValueError
            If another run has claimed it and not ended, or has left checkpoints since, and this one does not go on.
        """
        if self._processes.leads:
            self._lock = _Lock(self._folder)
            try:
                self._refuse_others()
            except BaseException:
                self.end()
                raise
            for name in {*map(_kind_of, os.listdir(self._folder))} - {None}:
                outputs.clear_leftovers(os.path.join(self._folder, str(name)))
        self._interval.begin()

    def end(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            self._lock.open()
            self._lock = None

    def newest(self, read: Callable[[str], Contents], ends: bool = True) -> tuple[Numbered, Contents] | None:
        """The newest whole file, if the run goes on and there is one, as `newest_sound` gives it; the next is after it.

        Parameters
        ----------
        ends : bool
            Whether the result of a run that has ended will do.
        """
        if not self.resume:
            return None
        files = [file for file in self._processes.of_leader(lambda: files_in(self._folder)) if ends or not file.ended]
        found = newest_sound(files, read, self._tell)
        self._number = max(self._number, found[0].number if found else 0)
        return found

    def is_due(self, epochs: int) -> bool:
        """Whether a checkpoint is due after the epoch of this number."""
        if self._interval.seconds is None:
            return self._interval.is_over(epochs)
        return self.is_due_by_time()

    def is_due_by_time(self) -> bool:
        """Whether a checkpoint is due in the midst of an epoch."""
        return self._interval.seconds is not None and self._processes.of_leader(lambda: self._interval.time_has_passed)

    def save(self, write: Callable[[str], object], ended: bool = False) -> None:
        """Let `write` write the next file and then delete the oldest.

        If the file cannot be written, that is told and noted, and the run goes on.
        """
        path = self._path(self._number + 1, ended)
        try:
            write(path)
        except OSError as error:
            self.failure = error
            where = "" if str(path) in str(error) else f"{path}: "
            self._tell_and_go_on(
                f"{where}{error}: the checkpoint is not written, and training goes on; the older ones are kept"
            )
        else:
            self.failure = None
            self._number += 1
            if self._processes.leads:
                try:
                    self._delete_older()
                except OSError as error:
                    self._tell_and_go_on(f"{error}: no old checkpoints are deleted")
            logger.debug("checkpoint written to %s", path)
        self._interval.begin()

    def raise_failure(self) -> None:
        """Raise an error, if the last file could not be written."""
        if self.failure is not None:
            failure = self.failure
            said = (str(failure),) if failure.errno is None else (failure.errno, failure.strerror, failure.filename)
            raise Unwritten(*said) from failure

    def _path(self, number: int, ended: bool) -> str:
        return os.path.join(self._folder, f"{END if ended else CHECKPOINT}-{number:08d}.npz")

    def _delete_older(self) -> None:
        """Delete what is older than the newest checkpoints, and results of runs that have gone on."""
        older = [file for file in files_in(self._folder) if file.number <= self._number]
        kept = [file for file in older if not file.ended]
        kept = kept if self._keep is None else kept[: self._keep]
        for file in older:
            if not (file in kept or (file.ended and file.number == self._number)):
                try:
                    os.unlink(file.path)
                except OSError as error:
                    self._tell_and_go_on(f"{error}: an old checkpoint cannot be deleted")
        self._delete_parts()

    def _delete_parts(self) -> None:
        """Delete the parts of checkpoints that are not there any more, or that have never been completed."""
        if any(map(_PART.fullmatch, os.listdir(self._folder))):
            try:
                named = {name for file in files_in(self._folder) for name in parted_file.named_in(file.path)}
            except (OSError, ValueError) as error:  # of a file that is damaged, whose parts are not known
                logger.debug("no parts of checkpoints are deleted: %s", error)
            else:
                parted_file.clear_all(self._folder, _NAME.pattern, named)

    def _tell_and_go_on(self, message: str) -> None:
        """Tell of something that must not end the run, not even where warnings are errors."""
        try:
            self._tell(message)
        except Warning:
            logger.warning("%s", message)


def checkpoints_of(
    folder: Any, every: Any, keep: Any, resume: bool, tell: Callable[[str], object], processes: Processes = ALONE
) -> Checkpoints | None:
    """The checkpoints of a run that is given these arguments; None if it is given no folder.

    Raises
    ------
    TypeError, ValueError, OSError
        As `Checkpoints` does; or if there is no folder that the other arguments could be of.
    """
    if folder is not None:
        return Checkpoints(folder, every, keep, resume, tell, processes)
    given = {"every": not _is(every, 1), "keep": not _is(keep, 2), "resume": resume}
    idle = [name for name, is_given in given.items() if is_given]
    if idle:
        raise ValueError(f"{idle[0]} is of checkpoints, and there is no folder for them: give checkpoint=FOLDER, too")
    return None


def _is(value: Any, default: int) -> bool:
    return type(value) is int and value == default


def _checked_folder(folder: Any) -> str:
    path = path_text("checkpoint", folder, "the path of a folder")
    if not path or "\0" in path:
        raise ValueError(f"checkpoint must be the path of a folder, not {shown(path)}")
    return os.path.abspath(path)


def _kind_of(name: str) -> str | None:
    """The checkpoint, or part of one, that a process has been writing to a file of this name; None for other files."""
    found = re.fullmatch(rf"\.({_NAME.pattern}|{_PART.pattern})\.[0-9a-f]{{12}}{re.escape(outputs.SUFFIX)}", name)
    return None if found is None else found[1]


class _Lock:
    """The claim to a folder, which ends with the process, if it is not given up before. Some systems have none."""

    def __init__(self, folder: str) -> None:
        self._descriptor: int | None = None
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:  # on Windows
            return
        if outputs.lock(descriptor) is False:
            os.close(descriptor)
            raise ValueError(
                f"checkpoint: another run that has not ended writes to {folder}: give each run a folder of its own"
            )
        self._descriptor = descriptor
        _held.add(self)

    def open(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


_held: weakref.WeakSet[_Lock] = weakref.WeakSet()


def _open_in_child() -> None:
    """Close the descriptors that a fork has copied: else a folder would be claimed for as long as the child lives."""
    for lock in [*_held]:
        lock.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_in_child)
