"""Damage to the folder of compiled kernels; `tests/tools/damaged_cache.py` has the ways, and the long form."""

import os
import subprocess
import sys

import pytest
from places import TOOLS

from fastadagrad.kernels import disk_cache

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, pipes and capabilities are Linux's")


@pytest.mark.parametrize(
    ("tries", "seed", "share"), [(5, 1, 0), pytest.param(20, 2, 0.05, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_start_works_and_heals_the_folder(tries, seed, share):
    command = [sys.executable, TOOLS / "damaged_cache.py", "--tries", tries, "--seed", seed, "--share", share]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=500, check=False)
    assert done.stdout.splitlines()[-1:] != []
    assert f"\n{tries} tries, 0 faults" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_the_content_of_another_file_is_not_taken(tmp_path):
    """It is whole, but another kernel."""
    one, other = tmp_path / "one", tmp_path / "other"
    disk_cache.write(one, b"content")
    one.rename(other)
    assert disk_cache.read(other) is None
    disk_cache.write(other, b"content")
    assert disk_cache.read(other) == b"content"


def test_what_is_no_file_is_neither_waited_for_nor_in_the_way(tmp_path):
    path = tmp_path / "file"
    os.mkfifo(path)
    assert disk_cache.read(path) is None
    disk_cache.write(path, b"content")
    assert disk_cache.read(path) == b"content"
    path.unlink()
    (path / "folder").mkdir(parents=True)
    assert disk_cache.read(path) is None
    disk_cache.write(path, b"content")
    assert disk_cache.read(path) == b"content"
    assert [*tmp_path.iterdir()] == [path]
