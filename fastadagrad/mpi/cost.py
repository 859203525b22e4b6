"""What a step of several processes costs each of them, by a formula: bytes sent, messages, seconds and memory.

The model is Hockney's: a message of m bytes takes alpha + m / beta seconds, where alpha is the latency and beta the
bandwidth of one process, which sends and receives at the same time. Messages are under way while others are added up
and other parameters stepped, but how much time that saves depends on the network: the model takes nothing off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..support.asking import whether
from ..support.checks import checked_number, whole_number

SENT_AT_A_TIME = 1 << 22  # bytes of a dense gradient, of which each process gets a piece; caches hold as much
MESSAGES_AT_A_TIME = 3  # that a process holds: one is added up, and the next come
MOST_IN_PIECES = 16  # processes; with more, a gradient goes in one piece, as each piece takes a message to each
TOGETHER = 1 << 20  # bytes of the largest array that is sent together with others
NUMBER_BYTES = 8  # of a row number, and of a count of rows

# A step has notes: small objects that each process tells all others, such as that its gradient is sound.
NOTES, NOTES_OF_READING = 3, 1
NOTE_BYTES = 32  # on average
NOTE_SECONDS = 5e-7  # in which Python reads one; tests/tools/mpi_costs.py measures it
GATHERS_OF_A_NOTE = 2  # lengths first


@dataclass(frozen=True)
class Job:
    """A step of several processes, and what they run on.

    Attributes
    ----------
    ranks : int
        Number of processes, R.
    bandwidth : float
        Bytes a second that one process sends and, at the same time, receives: beta. Processes that share a network card
        have a share of its bandwidth each.
    latency : float
        Seconds that a message takes beside its bytes: alpha.
    memory_bandwidth : float
        Bytes a second that one process reads and writes, with all of its threads.
    params : int
        Elements of parameters whose gradients are dense, N.
    arrays : int
        How many parameters these are. Such as have at most 1 MiB go together, others have messages of their own.
    rows : int
        Rows that a step touches, as all processes together name them, repeated ones counted: K. Each process names as
        many, K / R.
    width : int
        Elements of a row, w.
    table_rows : int, optional
        Rows of the table, T; None: K.
    read_rows : int, optional
        Rows that all processes together ask for in a step, as the loss does by `touches`; None: K.
    item_bytes : int
        Of an element of a parameter or a gradient, s.
    slot_bytes : int
        Of the state of an element, b: 4 for AdaGrad on float32.
    sharded : bool
        Whether each process has its own rows of the table alone, as `fastadagrad.shard` makes it.

    Raises
    ------
    TypeError, ValueError
        If a field makes no sense; the message names it.
    """

    ranks: int
    bandwidth: float
    latency: float
    memory_bandwidth: float
    params: int = 0
    arrays: int = 1
    rows: int = 0
    width: int = 1
    table_rows: int | None = None
    read_rows: int | None = None
    item_bytes: int = 4
    slot_bytes: int = 4
    sharded: bool = False

    @property
    def messages_apart(self) -> int:
        """How many arrays have messages of their own; 1 if all go together."""
        return self.arrays if self.params * self.item_bytes > TOGETHER * self.arrays else 1

    def __post_init__(self) -> None:
        for name in ("ranks", "arrays", "width", "item_bytes"):
            whole_number(name, getattr(self, name), 1)
        for name in ("params", "rows", "table_rows", "read_rows", "slot_bytes"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), 0)
        whether("sharded", self.sharded)
        for name in ("bandwidth", "memory_bandwidth", "latency"):
            if checked_number(name, getattr(self, name)) == 0 and name != "latency":
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Cost:
    """What a step costs one process.

    Attributes
    ----------
    ranks : int
        Number of processes.
    bytes_sent : int
        To other processes; as many come from them.
    messages : int
        That the process sends one after the other.
    transfer_seconds, latency_seconds, compute_seconds : float
        Of sending the bytes, of the latency of all messages, and of reading and writing memory.
    parameter_bytes, gradient_bytes, state_bytes, buffer_bytes : int
        Memory, of which the last is for messages and sums.
    """

    ranks: int
    bytes_sent: int
    messages: int
    transfer_seconds: float
    latency_seconds: float
    compute_seconds: float
    parameter_bytes: int
    gradient_bytes: int
    state_bytes: int
    buffer_bytes: int

    @property
    def seconds(self) -> float:
        """Of the step, one part after the other."""
        return self.transfer_seconds + self.latency_seconds + self.compute_seconds

    @property
    def memory_bytes(self) -> int:
        """Of all arrays."""
        return self.parameter_bytes + self.gradient_bytes + self.state_bytes + self.buffer_bytes


def goes_in_pieces(ranks: int) -> bool:
    """Whether so many processes send to each other, one after the other, as many times as a gradient has pieces."""
    return ranks <= MOST_IN_PIECES


def piece_bytes(ranks: int) -> int:
    """How much of a dense gradient goes to another process at a time."""
    return SENT_AT_A_TIME // ranks


def cost_of(job: Job) -> Cost:
    """What a step costs one process.

    It is assumed that all processes have as many elements of the parameters, N / R, and that the rows that a process
    names are as often one process's as any other's, so that (R - 1) / R of them are others'. With k = K / R rows that a
    process names, and r = `read_rows` / R that it asks for::

        bytes_sent = 2 (R - 1)/R N s                      dense: gradients to owners, new parameters to all
                   + (R - 1)/R k (8 + w s) + 8 (R - 1)    rows: numbers and values, and counts of them
                   + (R - 1)/R r (8 + w s) + 8 (R - 1)    reading: numbers, and values that come back
                   + 32 (R - 1) notes                     what all tell all: 3, and 1 for reading

        messages   = A (P + 1) (R - 1)                    dense: an all-to-all for each of P pieces, then an all-gather
                   + 3 (R - 1) + 3 (R - 1)                rows, reading: an all-to-all each of counts, numbers, values
                   + 2 ceil(log2 R) notes

        transfer_seconds = bytes_sent / bandwidth
        latency_seconds  = messages * latency
        compute_seconds  = N/R ((R + 4) s + 2 b) / m      dense: R parts are read, a sum written; a step
                         + k w (10 s + 2 b) / m           rows: ordered, weighted, added up, checked; a step
                         + 4 r w s / m                    reading: taken from one table, put into another
                         + 5e-7 (R - 1) notes             reading notes; m is memory_bandwidth

    An all-to-all sends to one process after the other, and so does an all-gather of arrays, which goes round in a ring
    of more than 16 processes. One of notes doubles what each has (Bruck's algorithm); a library that knows a better way
    takes fewer messages. Of up to 16 processes, a gradient goes in P pieces of 4 MiB / R for each process, else in
    one. Arrays of at most 1 MiB go together, so that A = 1; of others, A = arrays. Of one process nothing is sent, and
    it reads and writes N (4 s + 2 b) + k w (6 s + 2 b) bytes.

    Memory is that of whole parameters, N s + T w s, or N s + T w s / R of a sharded table; of a gradient, N s + k (8 +
    w s); of the state of a part, (N + T w) b / R; and of buffers: sums, N/R s (4 bytes an element of 16 bits), what
    comes in the messages of dense gradients, R - 1 parts each, of three of which some may be there at a time, N s where
    small arrays go together, and of rows, (3 k + 2 r) (8 + w s).

    Not counted are the loss and its gradient, clipping by norms, methods that measure all parameters before a step, and
    rows that move without a gradient.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Cost

    References
    ----------
    R. W. Hockney, "The communication challenge for MPP: Intel Paragon and Meiko CS-2", Parallel Computing 20 (1994).

    R. Thakur, R. Rabenseifner, W. Gropp, "Optimization of collective communication operations in MPICH",
    International Journal of High Performance Computing Applications 19 (2005).

    Examples
    --------
    >>> job = Job(ranks=4, bandwidth=1e9, latency=1e-6, memory_bandwidth=1e10, params=1_000_000)
    >>> cost = cost_of(job)
    >>> cost.bytes_sent, cost.state_bytes
    (6000288, 1000000)
    """
    ranks, others = job.ranks, job.ranks - 1
    share, reads = others / ranks, job.rows if job.read_rows is None else job.read_rows
    table = job.rows if job.table_rows is None else job.table_rows
    named, read = job.rows / ranks, reads / ranks
    row_bytes = NUMBER_BYTES + job.width * job.item_bytes
    all_to_alls, notes = 3 * ((job.rows > 0) + (reads > 0)), NOTES + NOTES_OF_READING * (reads > 0)
    notes *= ranks > 1
    pieces = _pieces(job)
    dense = share * 2 * job.params * job.item_bytes
    rest = share * (named + read) * row_bytes + others * (NUMBER_BYTES * all_to_alls / 3 + NOTE_BYTES * notes)
    messages = others * (all_to_alls + (job.messages_apart * (pieces + 1) if job.params else 0))
    messages += GATHERS_OF_A_NOTE * math.ceil(math.log2(ranks)) * notes
    return Cost(
        ranks=ranks,
        bytes_sent=round(dense + rest),
        messages=messages,
        transfer_seconds=(dense + rest) / job.bandwidth,
        latency_seconds=messages * job.latency,
        compute_seconds=_traffic(job, named, read) / job.memory_bandwidth + others * notes * NOTE_SECONDS,
        parameter_bytes=round((job.params + table * job.width / (ranks if job.sharded else 1)) * job.item_bytes),
        gradient_bytes=round(job.params * job.item_bytes + named * row_bytes),
        state_bytes=round((job.params + table * job.width) * job.slot_bytes / ranks),
        buffer_bytes=round(_buffers(job, pieces, (3 * named + 2 * read) * row_bytes)) if others else 0,
    )


def _pieces(job: Job) -> int:
    """In how many pieces the part of an array goes to another process."""
    part = job.params * job.item_bytes / max(job.messages_apart, job.ranks)
    return max(1, math.ceil(part / piece_bytes(job.ranks))) if goes_in_pieces(job.ranks) else 1


def _traffic(job: Job, named: float, read: float) -> float:
    """Bytes that a process reads and writes in its memory, beside those that MPI does."""
    item, slots, several = job.item_bytes, 2 * job.slot_bytes, job.ranks > 1
    dense = job.params / job.ranks * ((4 + job.ranks * several) * item + slots)
    rows = named * job.width * ((6 + 4 * several) * item + slots)
    return dense + rows + 4 * read * job.width * item * several


def _buffers(job: Job, pieces: int, of_rows: float) -> float:
    """Bytes of the memory for messages and sums."""
    sums = job.params / job.ranks * max(job.item_bytes, 4)
    packed = job.params * job.item_bytes if job.messages_apart < job.arrays else 0
    part = job.params * job.item_bytes / max(job.messages_apart, job.ranks)
    a_message = (job.ranks - 1) * min(part, piece_bytes(job.ranks) if pieces > 1 else part)
    return sums + packed + a_message * min(pieces * job.messages_apart, MESSAGES_AT_A_TIME) + of_rows
