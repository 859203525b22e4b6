"""What is asked of mpi4py: messages are under way while earlier ones are used, and few are held at a time."""

import sys
import types
import weakref

import numpy as np
import pytest

from fastadagrad.mpi import cost, messages
from fastadagrad.mpi.cost import Job, cost_of


class World:
    """An mpi4py of one process among several, of which the others send nothing but what is in memory already."""

    def __init__(self, rank, size):
        self.rank, self.size, self.events, self.received, self.most_received = rank, size, [], [], 0
        self.BYTE = types.SimpleNamespace(Create_contiguous=lambda n: types.SimpleNamespace(Commit=lambda: n))
        self.Comm = types.SimpleNamespace(Create_keyval=lambda: 1)
        self.Request = types.SimpleNamespace(Waitall=lambda requests: self.events.append(("wait", *requests)))
        self.IN_PLACE = "in place"

    def Get_attr(self, key):
        return self

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def Isend(self, buffer, to):
        return self._begun("send", to, buffer)

    def Irecv(self, buffer, source):
        self.received.append(weakref.ref(buffer[0].base))
        now = sum(each().nbytes for each in self.received if each() is not None)
        self.most_received = max(self.most_received, now)
        return self._begun("receive", source, buffer)

    def _begun(self, what, other, buffer):
        memory, count, size = buffer
        assert memory.nbytes == count * size
        self.events.append((what, other, memory.nbytes))
        return what, other


@pytest.fixture
def among(monkeypatch):
    def made(rank, size):
        world = World(rank, size)
        monkeypatch.setitem(sys.modules, "mpi4py", types.SimpleNamespace(MPI=world))
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", world)
        for name in ("end_at_errors", "end_at_long_waits"):
            monkeypatch.setattr(messages, name, lambda *_: None)
        messages._key.cache_clear()
        messages._datatype.cache_clear()
        return messages.Messages(world), world

    yield made
    messages._key.cache_clear()
    messages._datatype.cache_clear()


def test_the_next_message_is_under_way_while_one_is_used(among, monkeypatch):
    monkeypatch.setattr(messages, "UNDER_WAY", 0)
    processes, world = among(1, 3)
    for came in processes.exchanged([np.ones(n), np.full(2, 7.0), np.ones(n)] for n in (3, 4, 5)):
        assert [len(part) for part in came] == [2, 2, 2]
        assert came[1].tolist() == [7.0, 7.0]
        world.events.append("used")
    begun = [[("receive", 0, 16), ("receive", 2, 16), ("send", 0, 8 * n), ("send", 2, 8 * n)] for n in (3, 4, 5)]
    waited = ("wait", ("receive", 0), ("receive", 2), ("send", 0), ("send", 2))
    assert world.events == [*begun[0], *begun[1], waited, "used", *begun[2], waited, "used", waited, "used"]


def test_more_are_under_way_where_they_are_small(among):
    processes, world = among(0, 2)
    next(processes.exchanged([np.ones(0), np.ones(2)] for _ in range(9)))
    assert [event[0] for event in world.events] == ["send"] * 9 + ["wait"]


def test_arrays_are_completed_at_once(among):
    processes, world = among(0, 3)
    finish = [processes.complete(np.ones((4, 2), np.float32), [0, 1, 1, 4]) for _ in range(2)]
    begun = [("receive", 2, 24), ("send", 1, 8), ("send", 2, 8)]
    assert world.events == begun * 2
    finish[0]()
    assert world.events[6:] == [("wait", ("receive", 2), ("send", 1), ("send", 2))]


@pytest.mark.parametrize("size", [2, 4])
def test_memory_for_messages(size, among, monkeypatch):
    monkeypatch.setattr(cost, "SENT_AT_A_TIME", 1 << 18)
    monkeypatch.setattr(messages, "UNDER_WAY", 1 << 18)
    processes, world = among(0, size)
    elements, piece = 1_000_000, cost.piece_bytes(size) // 4
    parts = np.split(np.ones(elements, np.float32), size)
    for came in processes.exchanged([p[i : i + piece] for p in parts] for i in range(0, len(parts[0]), piece)):
        assert len(came) == size
    machine = {"bandwidth": 1e9, "latency": 1e-6, "memory_bandwidth": 1e10}
    predicted = cost_of(Job(size, **machine, params=elements)).buffer_bytes
    assert world.most_received + 4 * elements // size == pytest.approx(predicted, rel=0.05)


def test_a_message_that_no_one_waits_for_keeps_its_memory(among):
    processes, _ = among(0, 2)
    coming = processes.exchanged([np.ones(600_000), np.ones(600_000)] for _ in range(4))
    next(coming)
    before = len(messages._abandoned)
    coming.close()
    assert len(messages._abandoned) == before + 1
    messages._abandoned.pop()


def test_waits_are_watched(among):
    processes, world = among(0, 2)
    since = []
    world.Request.Waitall = lambda requests: since.append(processes.waiting_since)
    for _ in processes.exchanged([np.ones(3), np.ones(3)] for _ in range(2)):
        assert processes.waiting_since is None
    processes.complete(np.ones(4), [0, 2, 4])()
    assert None not in since
    assert len(since) == 3
    assert processes.waiting_since is None


def test_parts_that_lie_one_behind_the_other_are_not_copied():
    flat = np.arange(10.0)
    joined = messages._joined([flat[:0], flat[:4], flat[4:4], flat[4:10]])
    assert np.shares_memory(joined, flat)
    assert joined.tolist() == flat.tolist()
    assert messages._joined([flat[4:], flat[:4]]).tolist() == [*range(4, 10), *range(4)]
    assert messages._joined([flat[:0], flat[:0]]).size == 0
