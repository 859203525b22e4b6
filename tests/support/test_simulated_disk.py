"""Files that are saved while the disk fails: nothing is lost in any history, and planted faults do not go unseen."""

import os
from contextlib import contextmanager, nullcontext, suppress

import disk_calls
import pytest
import simulated_disk
from choices import Choices, replayed
from simulated_disk import installed, many, simulate

from fastadagrad.compare import journal, results
from fastadagrad.support import outputs


@pytest.mark.parametrize(
    ("first", "seeds"), [(0, 300), pytest.param(1000, 10_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_nothing_is_lost(first, seeds):
    with installed():
        assert many(first, seeds) == {}


def test_a_seed_is_replayed():
    """With the same calls, faults and failures of the power; and a history is not the one of another seed."""
    with installed():
        runs = [replayed(simulate, seed) for seed in (3, 3, 4)]
        assert runs[0] == runs[1] != runs[2]
        assert all(len(events) > 20 for events, _ in runs)
        kinds = {simulate(Choices(seed)) for seed in range(100)}
    assert kinds == {"comparing", "contents", "optimizers", "models"}


REAL = disk_calls.System


class WithoutFiles(REAL):
    """The contents of files are not synchronised."""

    def fsync(self, number):
        if isinstance(self._current().handles[number], disk_calls.OpenFolder):
            super().fsync(number)


class WithoutFolders(REAL):
    """The names in folders are not synchronised."""

    def fsync(self, number):
        if not isinstance(self._current().handles[number], disk_calls.OpenFolder):
            super().fsync(number)


class Late(REAL):
    """A file is synchronised after it has taken its place."""

    def fsync(self, number):
        disk = self._current()
        if isinstance(disk.handles[number], disk_calls.OpenFolder):
            for handle in [*disk.handles.values()]:
                handle.file.synchronise() if hasattr(handle, "file") else None
            super().fsync(number)


@contextmanager
def in_place(path):
    with outputs.naming(path), outputs.open(path, "wb") as file:
        yield file
        file.flush()
        outputs.os.fsync(file.fileno())


@contextmanager
def under_one_name(path):
    """A temporary file that all processes share."""
    temporary = f"{os.path.dirname(path)}/.model.000000000000.tmp"
    with outputs.naming(path):
        with outputs.open(temporary, "wb") as file:
            yield file
            file.flush()
            outputs.os.fsync(file.fileno())
        outputs.os.replace(temporary, path)
        outputs.keep_names_in(os.path.dirname(path), path)


def unsynchronised(file, line):
    left = memoryview(line)
    while left:
        left = left[file.write(left) :]


def all_at_once(file, line):
    file.write(line)
    journal.os.fsync(file.fileno())


def silent(keep):
    def kept(folder, path):
        with suppress(OSError):
            keep(folder, path)

    return kept


def with_any_mode(alike):
    def made_alike(file, target):
        with suppress(OSError):
            alike(file, target)

    return made_alike


def appended_at_once(log, file):
    """The journal is not cut off after an error."""


PLANTED = {  # what is done wrongly -> where, and by what it is replaced
    "files are not synchronised": (simulated_disk, "System", lambda _: WithoutFiles),
    "folders are not synchronised": (simulated_disk, "System", lambda _: WithoutFolders),
    "files are synchronised after they are renamed": (simulated_disk, "System", lambda _: Late),
    "files are written in place": (outputs, "replacing", lambda _: in_place),
    "temporary files have one name": (outputs, "replacing", lambda _: under_one_name),
    "leftovers stay": (outputs, "_clear_leftovers", lambda _: lambda folder, name: None),
    "files are not locked": (outputs, "lock", lambda _: lambda descriptor: True),
    "errors of a folder are not told": (outputs, "keep_names_in", silent),
    "a mode that cannot be read is not kept": (outputs, "_make_alike", with_any_mode),
    "errors do not name the path": (outputs, "naming", lambda _: lambda path: nullcontext()),
    "the journal is not synchronised": (journal, "_write", lambda _: unsynchronised),
    "the journal is written in one call": (journal, "_write", lambda _: all_at_once),
    "the journal's name is not synchronised": (journal, "keep_names_in", lambda _: lambda folder, path: None),
    "the journal is not cut off": (journal.Journal, "_cut_off", lambda _: appended_at_once),
    "lost bytes are damage": (journal, "LOST", lambda _: b"no line has this"),
    "a new folder is not synchronised": (results, "make_folder", lambda _: lambda path: made(path)),
}


def made(path):
    """The folder, which is not synchronised."""
    for folder in (path.parent, path):
        with suppress(FileExistsError):
            outputs.os.mkdir(folder)


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault, monkeypatch):
    place, name, planted = PLANTED[fault]
    monkeypatch.setattr(place, name, planted(getattr(place, name)))
    with installed():
        found = next((seed for seed in range(2000) if many(seed, 1)), None)
        assert found is not None
        events, unkept = replayed(simulate, found)
    assert unkept is not None
    assert any("begins" in event for event in events)
