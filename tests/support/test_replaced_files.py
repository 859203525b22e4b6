"""What a file that is replaced keeps of the old one, and what becomes of what killed processes have left beside it."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from fastadagrad.support import outputs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="of systems with modes and owners of files")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with outputs.replacing(path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode  # before there is anything in it to be read
        file.write(b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_is_replaced_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12345, 54321)
    path.chmod(0o640)
    with outputs.replacing(path) as file:
        file.write(b"new")
    found = path.stat()
    assert (path.read_bytes(), found.st_uid, found.st_gid) == (b"new", 12345, 54321)
    assert stat.S_IMODE(found.st_mode) == 0o640


def test_an_owner_that_cannot_be_kept_is_no_error(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse, raising=False)
    monkeypatch.setattr(os, "stat", lambda *a, stat=os.stat, **k: others(stat(*a, **k)))
    with outputs.replacing(path) as file:
        file.write(b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"new"


def others(found):
    """A file's status as if it were somebody else's."""
    values = list(found)
    values[4] += 1
    return os.stat_result(values, {"st_mtime": found.st_mtime})


KILLED = """
    import os, signal, sys
    from fastadagrad.support import outputs
    with outputs.replacing(sys.argv[1]) as file:
        file.write(b"x" * 100)
        file.flush()
        print("writing", flush=True)
        sys.stdin.read(1)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is writing the file `tmp_path / "file"`, until it is killed."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        yield process
        process.kill()


def test_what_killed_processes_have_left_is_deleted_by_the_next(tmp_path, writer):
    path = tmp_path / "file"
    other = tmp_path / ".another.0123456789ab.tmp"
    other.write_bytes(b"of something else")
    [left] = [each for each in os.listdir(tmp_path) if each != other.name]
    with outputs.replacing(path) as file:  # while the other process is alive
        file.write(b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([other.name, left, "file"])
    writer.kill()
    writer.wait()
    with outputs.replacing(path) as file:
        file.write(b"newer")
    assert sorted(os.listdir(tmp_path)) == [other.name, "file"]
    assert path.read_bytes() == b"newer"


def test_where_files_cannot_be_locked_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "lock", lambda descriptor: None)
    path, left = tmp_path / "file", tmp_path / ".file.0123456789ab.tmp"
    for age, stays in ((0, True), (outputs.ABANDONED_AFTER + 60, False)):
        left.write_bytes(b"left")
        os.utime(left, (time.time() - age,) * 2)
        with outputs.replacing(path) as file:
            file.write(b"new")
        assert left.exists() == stays


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path, errors = tmp_path / "file", []

    def write(number):
        try:
            for _ in range(30):
                with outputs.replacing(path) as file:
                    file.write(b"%d" % number * 1000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert not errors
    assert os.listdir(tmp_path) == ["file"]
    assert len({*path.read_bytes()}) == 1
    assert path.stat().st_size == 1000
