import sys

import pytest
from processes import run

from fastadagrad.data import memory_at_hand
from fastadagrad.data.memory_at_hand import advice, bytes_at_hand, in_words

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is read is there on Linux only")


@pytest.fixture
def group(tmp_path, monkeypatch):
    """The folder of a control group, and none of the real ones."""
    monkeypatch.setattr(memory_at_hand, "_control_groups", lambda: iter([tmp_path, tmp_path / "gone"]))
    return tmp_path


def test_no_more_is_at_hand_than_the_machine_has():
    fields = memory_at_hand._fields("/proc/meminfo")
    assert 0 < bytes_at_hand() < 1024 * fields["MemTotal"]


def test_a_control_group_limits_what_is_at_hand(group):
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("900000\n")
    (group / "memory.stat").write_text("anon 500000\ninactive_file 300000\n")
    assert bytes_at_hand() == 400_000
    (group / "memory.current").write_text("1400000\n")
    assert bytes_at_hand() == 0
    (group / "memory.max").write_text("max\n")
    assert bytes_at_hand() > 1_000_000


def test_the_older_kind_of_control_groups(group):
    (group / "memory.limit_in_bytes").write_text("1000000\n")
    (group / "memory.usage_in_bytes").write_text("900000\n")
    (group / "memory.stat").write_text("total_inactive_file 100000\n")
    assert bytes_at_hand() == 200_000


def test_what_cannot_be_read_is_not_guessed(group, monkeypatch):
    def unreadable(path):
        raise PermissionError

    monkeypatch.setattr(memory_at_hand, "_fields", unreadable)
    (group / "memory.max").write_text("1000000\n")
    assert bytes_at_hand() is None


def test_groups_are_those_of_this_process_and_those_around_them():
    for folder in memory_at_hand._control_groups():
        assert folder.is_relative_to(memory_at_hand.CGROUPS)


LIMITED = """
import resource
import numpy as np
from fastadagrad.linear import LinearModel
from fastadagrad.data.memory_at_hand import bytes_at_hand
from fastadagrad.data.tables import CSR
X = CSR(np.ones(2), np.array([3, 150_000_000], np.int32), np.arange(3), (2, 150_000_001))
used = 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, resource.RLIM_INFINITY))
assert 0.9e9 < bytes_at_hand() <= 1e9
try:
    LinearModel().fit(X, [0, 1])
except ValueError as error:
    print(error)
"""


def test_a_limit_of_the_process_itself():
    said = run(LIMITED).stdout
    assert "X has 150,000,001 columns, the largest of those in use 150000000, in row 1" in said
    assert "training takes 12 bytes for each, 1.8 GB in all" in said  # so many columns have no mean


def test_words():
    found = [in_words(count) for count in (0, 999, 1000, 23.6e9, 5e15)]
    assert found == ["0 bytes", "999 bytes", "1 kB", "23.6 GB", "5e+03 TB"]
    assert "hash_bits=24" in advice()
    assert "hash_bits=24" in advice(35)
    assert "hash_bits=1 " in advice(1)
