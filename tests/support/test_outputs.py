"""Files that are replaced, and pipes, devices and mount points that are written into."""

import errno
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.support import figures, outputs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="of systems with pipes and devices in folders")
CONTENT = bytes(range(256)) * 10


def write(path, content=CONTENT):
    with outputs.replacing(path) as file:
        file.write(content)


def read_fifo(path, into):
    thread = threading.Thread(target=lambda: into.append(path.read_bytes()))
    thread.start()
    return thread


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def received(fifo):
    """What comes out of the pipe, once all has been read."""
    found = []
    reader = read_fifo(fifo, found)
    yield lambda: reader.join(60) or found[0]
    if reader.is_alive():
        with open(fifo, "wb"):
            pass


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_written_into(fifo, received, through_a_link):
    path = fifo
    if through_a_link:
        path = fifo.with_name("link")
        path.symlink_to(fifo.name)
    outputs.check(path)  # which does not open it: the reader would take that for the end
    write(path)
    assert received() == CONTENT
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert not list(fifo.parent.glob(".*"))


def test_a_pipe_gets_nothing_of_what_fails_midway(fifo, received):
    def fail():
        with outputs.replacing(fifo) as file:
            file.write(b"half")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        fail()
    write(fifo, b"whole")
    assert received() == b"whole"


def test_models_optimizers_and_figures_go_into_a_pipe(tmp_path, fifo, received):
    opt = fa.ADAGRAD(params=np.arange(5.0))
    opt.save(fifo)
    (tmp_path / "saved").write_bytes(received())
    other = fa.ADAGRAD(params=np.zeros(5))
    other.load(tmp_path / "saved")
    np.testing.assert_array_equal(other.params["param0"], np.arange(5.0))

    X = np.random.default_rng(0).normal(size=(40, 2))
    model, found = fa.LinearModel(max_epochs=1).fit(X, X[:, 0] > 0), []
    reader = read_fifo(fifo, found)
    model.save(fifo)
    reader.join(60)
    (tmp_path / "model").write_bytes(found[0])
    np.testing.assert_array_equal(fa.LinearModel.load(tmp_path / "model").coef_, model.coef_)


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_go_into_a_pipe(tmp_path, suffix, begins):
    pytest.importorskip("matplotlib")
    path, found = tmp_path / f"fifo.{suffix}", []
    os.mkfifo(path)
    reader = read_fifo(path, found)
    figures.save(figures.new_figure(), path)
    reader.join(60)
    assert found[0].startswith(begins)


def test_a_device_is_written_into(tmp_path):
    """A twin of /dev/null, which no failure of this test can harm."""
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("only root may make a device")
    outputs.check(device)
    try:
        write(device)
    except PermissionError:
        pytest.skip("devices cannot be used in this folder")
    assert stat.S_ISCHR(device.stat().st_mode)
    assert os.listdir(tmp_path) == ["null"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_named():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


STANDARD_OUTPUT = """
import sys
from fastadagrad.support import outputs
path = sys.argv[1]
outputs.check(path)
print("before")
with outputs.replacing(path) as file:
    file.write(b"content\\n")
print("after")
"""


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("to_a_file", [False, True])
def test_standard_output_by_its_path(tmp_path, path, to_a_file):
    """In order, and after what a file that it goes to has already."""
    if path.startswith("/proc") and not os.path.exists(path):
        pytest.skip(f"there is no {path} on this system")
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", STANDARD_OUTPUT, path]
    if not to_a_file:
        out = subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout
        assert out == b"before\ncontent\nafter\n"
        return
    with open(tmp_path / "out", "wb", buffering=0) as file:
        file.write(b"header\n")
        subprocess.run(command, check=True, stdout=file, cwd=tmp_path)
    assert (tmp_path / "out").read_bytes() == b"header\nbefore\ncontent\nafter\n"
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


@pytest.mark.parametrize("error", ["EBUSY", "EPERM", "EXDEV"])
def test_what_is_mounted_is_written_in_place(tmp_path, monkeypatch, error):
    """As a file that is bound to a place in a container, which cannot be renamed over."""
    path = tmp_path / "file"
    path.write_bytes(b"old " * 10_000)
    number, identity = getattr(errno, error), path.stat().st_ino

    def refuse(source, target):
        raise OSError(number, os.strerror(number), source, None, target)

    monkeypatch.setattr(os, "replace", refuse)
    outputs.check(path)
    write(path)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_ino == identity
    assert os.listdir(tmp_path) == ["file"]


def test_if_writing_in_place_fails_the_content_stays(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*rest):
        raise OSError(errno.EBUSY, "busy")

    def fill(content, target):
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(outputs, "_pour", fill)
    with pytest.raises(OSError, match=r"No space left \(all that was to be written is in .*\): '.*file'") as caught:
        write(path)
    [kept] = [name for name in os.listdir(tmp_path) if name != "file"]
    assert kept in str(caught.value)
    assert (tmp_path / kept).read_bytes() == CONTENT


def test_a_mount_point(tmp_path):
    """The real thing, where this may be done."""
    script = (
        'mount --bind "$1/there" "$1/here" && exec "$2" -c "'
        "from fastadagrad.support import outputs; import sys; outputs.check(sys.argv[1])\n"
        "with outputs.replacing(sys.argv[1]) as file: file.write(b'new')"
        '" "$1/here"'
    )
    for name in ("there", "here"):
        (tmp_path / name).write_bytes(b"old and long")
    command = ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path, sys.executable]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["here", "there"]


def test_a_file_in_a_folder_that_takes_no_others(tmp_path):
    """As in a container whose files are read-only but for one; root, who may do all, is not refused."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    folder.chmod(0o555)
    try:
        outputs.check(folder / "file")
        write(folder / "file")
        assert (folder / "file").read_bytes() == CONTENT
        assert os.listdir(folder) == ["file"]
        if os.geteuid():
            with pytest.raises(PermissionError, match="folder/other"):
                outputs.check(folder / "other")
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("folder", IsADirectoryError),
        ("folder/", IsADirectoryError),
        ("to_folder", IsADirectoryError),
        (".", IsADirectoryError),
        ("..", IsADirectoryError),
        ("new/", IsADirectoryError),
        ("no/file", FileNotFoundError),
        ("", FileNotFoundError),
        ("file/x", NotADirectoryError),
        ("file/", NotADirectoryError),
        ("loop", OSError),
        ("socket", OSError),
        ("x" * 256, OSError),
        ("/proc/file", OSError),
    ],
)
def test_what_cannot_be_written_is_refused_by_its_name(tmp_path, monkeypatch, path, error):
    """Before the work as well as after it, and without a trace."""
    import socket

    if path.startswith("/proc") and not os.path.isdir("/proc/self"):
        pytest.skip("there is no /proc on this system")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    for link, goal in (("to_folder", "folder"), ("loop", "loop")):
        (tmp_path / link).symlink_to(goal)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    before = sorted(os.listdir(tmp_path))
    for refused in (outputs.check, write):
        with pytest.raises(error) as caught:
            refused(path)
        assert caught.value.filename == path
        assert ".tmp" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_descriptor_that_is_read_only_is_refused(tmp_path):
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    (tmp_path / "file").write_bytes(b"old")
    with open(tmp_path / "file", "rb") as file, pytest.raises(OSError, match="it is open for reading only"):
        outputs.check(f"/proc/self/fd/{file.fileno()}")
    with pytest.raises(OSError, match="Bad file descriptor"):
        outputs.check("/proc/self/fd/999999")


@pytest.mark.parametrize("name", ["x" * 255, "数" * 85])
def test_names_may_be_as_long_as_the_system_allows(tmp_path, name):
    outputs.check(tmp_path / name)
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == CONTENT


def test_a_link_to_a_file_that_is_not_there_yet(tmp_path):
    (tmp_path / "link").symlink_to("new")
    outputs.check(tmp_path / "link")
    assert not (tmp_path / "new").exists()
    write(tmp_path / "link")
    assert (tmp_path / "new").read_bytes() == CONTENT
    assert (tmp_path / "link").is_symlink()


def test_to_check_changes_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    for name in ("file", "new"):
        outputs.check(tmp_path / name)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize(("number", "told"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINVAL, False)])
def test_an_error_of_the_folder_is_told(tmp_path, monkeypatch, number, told):
    """Unless it says that the system cannot synchronise folders at all; the new file is there in either case."""
    path, fsync = tmp_path / "file", os.fsync

    def failing(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    if told:
        with pytest.raises(OSError, match="might be lost if the machine stopped now") as caught:
            write(path)
        assert (caught.value.errno, caught.value.filename) == (number, str(path))
    else:
        write(path)
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_cannot_be_looked_at_makes_no_endless_loop(tmp_path, monkeypatch):
    real = os.stat

    def failing(path, *arguments, **keywords):
        if str(path).endswith(outputs.SUFFIX):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "stat", failing)
    with pytest.raises(OSError, match="Input/output error") as caught:
        write(tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_folders_are_made_with_those_above(tmp_path):
    outputs.make_folder(tmp_path / "a" / "b")
    outputs.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(FileExistsError):
        outputs.make_folder(tmp_path / "c")
    with pytest.raises(OSError, match="c"):
        outputs.make_folder(tmp_path / "c" / "d")
