"""The folder of checkpoints: what is taken of it, and what becomes of files that cannot be read or deleted."""

import errno
import os
from datetime import timedelta

import pytest

from fastadagrad.support import intervals, numbered_files
from fastadagrad.support.array_file import Damaged
from fastadagrad.support.numbered_files import Checkpoints, files_in, newest_sound


def fill(folder, *names):
    for name in names:
        (folder / name).write_text(name)


def test_the_newest_comes_first(tmp_path):
    others = "checkpoint-1.npz", "checkpoint-00000001.npz.bak", "other.npz", ".checkpoint-00000009.npz.0a0a0a0a0a0a.tmp"
    fill(tmp_path, "checkpoint-00000002.npz", "end-00000002.npz", "checkpoint-00000010.npz", *others)
    found = [(file.number, file.ended) for file in files_in(str(tmp_path))]
    assert found == [(10, False), (2, True), (2, False)]


def reading(errors):
    """A reader of files that raises these errors, by the number in their names."""

    def read(path):
        number = int(os.path.basename(path)[11:19])
        if number in errors:
            raise errors[number]
        return number

    return read


def test_what_the_disk_has_lost_is_passed_over(tmp_path):
    fill(tmp_path, *(f"checkpoint-0000000{number}.npz" for number in range(1, 6)))
    told = []
    errors = {5: Damaged("it is torn"), 4: OSError(errno.EIO, "Input/output error"), 3: FileNotFoundError()}
    file, found = newest_sound(files_in(str(tmp_path)), reading(errors), told.append)
    assert (file.number, found) == (2, 2)
    assert told == [
        "it is torn: the checkpoint before it is taken",
        "[Errno 5] Input/output error: the checkpoint before it is taken",
    ]


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no"), ValueError("newer"), MemoryError()], ids=repr)
def test_other_errors_are_not_passed_over(tmp_path, error):
    fill(tmp_path, "checkpoint-00000001.npz", "checkpoint-00000002.npz")
    with pytest.raises(type(error)):
        newest_sound(files_in(str(tmp_path)), reading({2: error}), pytest.fail)


def test_an_old_file_that_cannot_be_deleted_is_told_of(tmp_path, monkeypatch):
    told = []
    files = Checkpoints(tmp_path, 1, 1, False, told.append)
    files.begin()
    files.save(lambda path: fill(tmp_path, os.path.basename(path)))

    def failing(path):
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing)
        files.save(lambda path: fill(tmp_path, os.path.basename(path)))
    assert len(told) == 1
    assert told[0].endswith("checkpoint-00000001.npz': an old checkpoint cannot be deleted")
    files.save(lambda path: fill(tmp_path, os.path.basename(path)))
    assert os.listdir(tmp_path) == ["checkpoint-00000003.npz"]
    files.end()


def test_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(numbered_files.outputs, "lock", lambda descriptor: None)
    for _ in range(2):
        Checkpoints(tmp_path, 1, 1, True, pytest.fail).begin()


@pytest.mark.parametrize(
    ("given", "epochs", "seconds"),
    [
        (3, 3, None),
        ("3", 3, None),
        ("30s", None, 30),
        ("1.5 min", None, 90),
        ("2h", None, 7200),
        (timedelta(minutes=2), None, 120),
        (".5s", None, 0.5),
    ],
)
def test_intervals(given, epochs, seconds):
    found = intervals.interval_of("every", given)
    assert (found.epochs, found.seconds) == (epochs, seconds)


@pytest.mark.parametrize(
    "given", ["", "s", "-1s", "1 day", "1e3s", "nans", "0", "0.0s", 0, -1, None, 1.0, [], b"1s", "inf h"]
)
def test_what_is_no_interval(given):
    with pytest.raises((TypeError, ValueError), match=r"^every must be"):
        intervals.interval_of("every", given)
