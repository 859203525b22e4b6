import errno
import json
import os
import stat
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from kept_arrays import ARRAYS

from fastadagrad.support import array_file, outputs
from fastadagrad.support.array_file import HEADER


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


def test_round_trip(path):
    header = {"a": [1, 2.5, None], "ü": "ß"}
    array_file.write(path, "model", header, ARRAYS)
    read_header, arrays = array_file.read(path, "model")
    assert read_header == header
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)
        assert arrays[name].flags.writeable


def test_replaces_and_leaves_no_litter(path):
    array_file.write(path, "model", {"n": 1}, {})
    array_file.write(str(path), "model", {"n": 2}, {})
    assert array_file.read(path, "model")[0] == {"n": 2}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_mode_respects_umask(path):
    old = os.umask(0o027)
    try:
        array_file.write(path, "model", {}, {})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_follows_a_link(path):
    link = path.with_name("link")
    link.symlink_to(path.name)
    array_file.write(link, "model", {}, {})
    assert link.is_symlink()
    assert array_file.read(path, "model") == ({}, {})


def test_every_truncation_is_refused(path):
    array_file.write(path, "model", {}, {"a": np.arange(20.0)})
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ValueError, match="not a whole fastadagrad model file"):
            array_file.read(path, "model")


def test_a_flipped_bit_in_the_data_is_refused(path):
    array_file.write(path, "model", {}, {"a": np.zeros(1000)})
    damaged = bytearray(path.read_bytes())
    damaged[4000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="not a whole"):
        array_file.read(path, "model")


def test_foreign_files_are_refused(path):
    for content in (b"", b"hello", b"\x80\x04N."):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole"):
            array_file.read(path, "model")
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="not a whole"):
        array_file.read(path, "model")
    for header in ([], {}, {"format": "other"}, {"format": array_file.FORMAT, "version": "x"}):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(array_file.HEADER, json.dumps(header))
        with pytest.raises(ValueError, match="not a whole"):
            array_file.read(path, "model")


def test_pickles_are_never_read(path):
    with zipfile.ZipFile(path, "w") as archive:
        about = {"format": array_file.FORMAT, "version": 1, "kind": "model", "arrays": ["a"], "header": {}}
        archive.writestr(array_file.HEADER, json.dumps(about))
        with archive.open("0.npy", "w") as member:
            np.lib.format.write_array(member, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="not a whole"):
        array_file.read(path, "model")


def test_other_kind_and_newer_version_are_refused(path, monkeypatch):
    array_file.write(path, "model", {}, {})
    with pytest.raises(ValueError, match="is a fastadagrad model file; expected kind: optimizer"):
        array_file.read(path, "optimizer")
    monkeypatch.setattr(array_file, "VERSION", 3)
    array_file.write(path, "model", {}, {})
    monkeypatch.setattr(array_file, "VERSION", 2)
    with pytest.raises(ValueError, match=r"newer fastadagrad \(file version 3"):
        array_file.read(path, "model")


def test_what_cannot_be_written_leaves_the_old_file(path):
    array_file.write(path, "model", {"n": 1}, {})
    with pytest.raises(ValueError, match="'a' holds Python objects"):
        array_file.write(path, "model", {}, {"a": np.array([None])})
    with pytest.raises(TypeError):
        array_file.write(path, "model", {"n": object()}, {})
    assert array_file.read(path, "model")[0] == {"n": 1}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(path, monkeypatch, failing):
    array_file.write(path, "model", {"n": 1}, {})

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        array_file.write(path, "model", {"n": 2}, {"a": np.ones(10)})
    monkeypatch.undo()
    assert array_file.read(path, "model")[0] == {"n": 1}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_disk_that_is_really_full(path, monkeypatch):
    """Writes themselves fail, also the one that closes the zip."""
    array_file.write(path, "model", {"n": 1}, {})

    def open_full(name, mode):
        return open(name, mode, opener=lambda *rest: [os.close(os.open(*rest)), os.open("/dev/full", os.O_RDWR)][1])

    monkeypatch.setattr(outputs, "open", open_full, raising=False)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        array_file.write(path, "model", {"n": 2}, {"a": np.ones(100_000)})
    monkeypatch.undo()
    assert array_file.read(path, "model")[0] == {"n": 1}
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_names_a_file_object(path):
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match=r"No space left .*: '/dev/full'"):
        array_file.write(file, "model", {}, {"a": np.ones(100_000)})


def test_what_is_compressed_is_refused_before_it_is_inflated(path):
    """A header of a few kilobytes could be one of gigabytes."""
    about = json.dumps({"format": array_file.FORMAT, "version": 2, "kind": "model", "arrays": [], "members": []})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(array_file.HEADER, about[:-1] + " " * 100_000_000 + "}")
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"'header\.json' is compressed, as fastadagrad writes none"):
            array_file.read(path, "model")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def npy(shape, content=b"", dtype="<f8"):
    """A .npy file that says that it has an array of this shape."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


@pytest.mark.parametrize(
    "member",
    [
        npy((1 << 40,)),
        npy((2**62, 2**62)),
        npy((3,), bytes(8)),
        npy((0,), bytes(8)),
        npy((1,), bytes(8), "|V100000000"),
    ],
    ids=["huge", "overflowing", "too large", "too small", "huge elements"],
)
def test_arrays_that_are_not_as_large_as_they_say_are_refused_before_memory_is_taken(path, member):
    about = {"format": array_file.FORMAT, "version": 1, "kind": "model", "arrays": ["a"], "header": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(array_file.HEADER, json.dumps(about))
        archive.writestr("0.npy", member)
    with pytest.raises(
        ValueError, match=r"not a whole .*: its member '0\.npy' has [0-9]+ bytes, and its array would have"
    ):
        array_file.read(path, "model")


def test_members_that_lie_over_one_another_are_refused(path):
    """Small files could otherwise hold much, many times over."""
    array_file.write(path, "model", {}, {"a": np.zeros(1000), "b": np.zeros(1000)})
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    entries = content[at : content.index(b"PK\x05\x06")]
    one = entries[entries.index(b"PK\x01\x02", 4) :][: len(entries) - entries.index(b"PK\x01\x02", 4)]
    several = entries + one.replace(b"a.npy", b"c.npy").replace(b"b.npy", b"d.npy") * 3
    end = bytearray(content[content.index(b"PK\x05\x06") :])
    number = several.count(b"PK\x01\x02")
    end[8:12] = number.to_bytes(2, "little") * 2
    end[12:16] = len(several).to_bytes(4, "little")
    path.write_bytes(content[:at] + several + end)
    with pytest.raises(ValueError, match=r"its members would be of [0-9]+ bytes together, which are more than it has"):
        array_file.read(path, "model")


def test_a_lack_of_memory_is_no_damage(path, monkeypatch):
    array_file.write(path, "model", {}, {"a": np.zeros(10)})

    def fail(*args, **kwargs):
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(np.lib.format, "read_array", fail)
    with pytest.raises(MemoryError):
        array_file.read(path, "model")


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        array_file.read(path, "model")


NAMES = ["coef", "layer1/W", "a", "A", "../up", "/root", "a b", "é", "", "nul:", "header.json", "0", "-x", "w/", "a//b"]


def test_members_are_called_as_their_arrays_where_any_system_takes_the_name(path):
    arrays = {name: np.full(3, i) for i, name in enumerate(NAMES)}
    array_file.write(path, "model", {}, arrays)
    found = array_file.read(path, "model")[1]
    assert [*found] == NAMES
    assert all((found[name] == arrays[name]).all() for name in NAMES)
    with np.load(path) as archive:
        assert {*archive.files} == {"header.json", "coef", "layer1/W", *map(str, range(2, len(NAMES)))}
        assert (archive["layer1/W"] == 1).all()


def test_a_file_whose_members_have_numbers_is_read(path):
    """As version 1 wrote them."""
    with zipfile.ZipFile(path, "w") as archive:
        about = {"format": array_file.FORMAT, "version": 1, "kind": "model", "arrays": ["coef"], "header": {"n": 1}}
        archive.writestr(array_file.HEADER, json.dumps(about))
        with archive.open("0.npy", "w") as member:
            np.lib.format.write_array(member, np.arange(3))
    header, arrays = array_file.read(path, "model")
    assert header == {"n": 1}
    assert arrays["coef"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("members", [None, [], ["other.npy"], ["coef.npy", "coef.npy"], [3], "coef.npy", [HEADER]])
def test_members_that_are_not_as_the_header_says_are_refused(path, members):
    array_file.write(path, "model", {}, {"coef": np.ones(3)})
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    about = {**json.loads(content[HEADER]), "members": members}
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in {**content, HEADER: json.dumps(about)}.items():
            archive.writestr(name, each)
    with pytest.raises(ValueError, match="not a whole fastadagrad model file"):
        array_file.read(path, "model")
