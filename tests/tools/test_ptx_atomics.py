"""The interpreter of PTX: atomic operations, strong loads and stores, and blocks for which there is no room yet."""

import numpy as np
import ptx
import pytest
from ptx_texts import SHARED, kernel, run

LAUNCH = {"threads": 64, "blocks": 3}
THREADS = 64 * 3
NUMBER = """
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mad.lo.u32 %r4, %r2, %r3, %r1;
"""


@pytest.mark.parametrize(
    ("how", "start", "expected"),
    [
        ("add.u32", 5, 5 + sum(range(THREADS))),
        ("add.s32", -9, sum(range(THREADS)) - 9),
        ("min.s32", 7, 0),
        ("min.s32", -7, -7),
        ("max.u32", 3, THREADS - 1),
        ("and.b32", 0xFF, 0),
        ("or.b32", 0, 0xFF),
        ("xor.b32", 0, np.bitwise_xor.reduce(np.arange(THREADS))),
    ],
)
@pytest.mark.parametrize("scope", ["", ".relaxed.gpu"])
def test_each_operation_is_made_for_every_thread(how, start, expected, scope):
    array = np.array([start], np.int64).astype(np.int32)
    run(f"{NUMBER}\natom{scope}.global.{how} %r5, [%rd1], %r4;", array, **LAUNCH)
    assert array[0] == expected


@pytest.mark.parametrize("how", ["add.u64", "max.s64", "exch.b64"])
def test_words_of_64_bits(how):
    array = np.array([2**40], np.int64)
    run(f"cvt.u64.u32 %rd4, %r1;\natom.global.{how} %rd5, [%rd1], %rd4;", array, threads=1)
    assert array[0] == {"add.u64": 2**40, "max.s64": 2**40, "exch.b64": 0}[how]


def taken(body, seed, blocks=3):
    """What each thread found, which it writes behind the first number."""
    array = np.zeros(1 + 64 * blocks, np.int32)
    store = "mul.wide.u32 %rd4, %r4, 4;\nadd.s64 %rd5, %rd1, %rd4;\nst.global.u32 [%rd5+4], %r5;"
    text = kernel(f"{NUMBER}\n{body}\n{store}", shared=SHARED)
    ptx.launch(text, blocks, 64, [array.ctypes.data], [array], seed=seed)
    return array[1:].tolist()


def test_each_thread_finds_another_number_in_an_order_that_is_drawn():
    orders = [taken("atom.global.add.u32 %r5, [%rd1], 1;", seed) for seed in range(6)]
    assert all(sorted(order) == list(range(THREADS)) for order in orders)
    assert len(set(map(tuple, orders))) == len(orders)


def test_exchanged_numbers_are_all_there_but_the_last():
    for seed in range(6):
        found = taken("add.s32 %r6, %r4, 1;\natom.global.exch.b32 %r5, [%rd1], %r6;", seed)
        assert len({*found}) == THREADS
        assert {*found} < {*range(THREADS + 1)}


def test_shared_memory_is_of_each_block():
    body = """
        st.volatile.shared.u32 [buffer], 0;
        bar.sync 0;
        atom.shared.add.u32 %r5, [buffer], 1;
    """
    for seed in range(6):
        found = np.sort(np.reshape(taken(body, seed), (3, 64)), axis=1)
        assert (found == np.arange(64)).all()


# Each block waits for the one that took the ticket before.
CHAIN = """
    mov.u32 %r6, 0;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra $meet;
    atom.global.add.u32 %r5, [%rd1], 1;
    mul.wide.u32 %rd4, %r5, 4;
    add.s64 %rd5, %rd1, %rd4;
    setp.eq.u32 %p2, %r5, 0;
    @%p2 bra $meet;
$again:
    ld.relaxed.sys.global.u32 %r6, [%rd5];
    setp.eq.u32 %p3, %r6, 0;
    @%p3 bra $again;
$meet:
    bar.sync 0;
    @%p1 bra $end;
    add.s32 %r6, %r6, 5;
    st.relaxed.sys.global.u32 [%rd5+4], %r6;
$end:
    mov.u32 %r7, 1;
"""


def test_blocks_that_wait_for_others_which_have_begun():
    """Whatever the order, and however few blocks there is room for; a barrier does not wait for other blocks."""
    waves = set()
    for seed in range(24):
        array = np.zeros(10, np.int32)
        grid = run(CHAIN, array, threads=32, blocks=9, seed=seed)
        assert array.tolist() == [9, *range(5, 50, 5)]
        waves.add(grid.waves)
    assert 1 in waves
    assert len(waves) > 2


# Each block but the last waits for the next one.
WAITS_FOR_LATER_BLOCK = """
    mov.u32 %r2, %ctaid.x;
    mul.wide.u32 %rd4, %r2, 4;
    add.s64 %rd5, %rd1, %rd4;
    mov.u32 %r4, 1;
    setp.eq.s32 %p1, %r2, 8;
    @%p1 bra $say;
$again:
    ld.volatile.global.u32 %r3, [%rd5+4];
    setp.eq.s32 %p2, %r3, 0;
    @%p2 bra $again;
$say:
    st.volatile.global.u32 [%rd5], %r4;
"""


def test_a_block_that_waits_for_one_which_may_not_have_begun():
    """It is found by those seeds that have no room for all blocks at once."""
    ended = {seed: ends(seed) for seed in range(12)}
    assert {*ended.values()} == {True, False}
    [stuck, *_] = [seed for seed, end in ended.items() if not end]
    with pytest.raises(ptx.Fault, match="they wait for what does not come"):
        run(WAITS_FOR_LATER_BLOCK, np.zeros(32, np.int32), threads=1, blocks=9, seed=stuck)


def ends(seed):
    try:
        run(WAITS_FOR_LATER_BLOCK, np.zeros(32, np.int32), threads=1, blocks=9, seed=seed)
    except ptx.Fault:
        return False
    return True


def test_a_block_that_takes_long_keeps_others_waiting_and_is_no_fault():
    """The first block reads 1,500 numbers before it says so, and the second looks some times for each of them."""
    body = """
        mov.u32 %r2, %ctaid.x;
        atom.global.add.u32 %r2, [%rd1+4], 1;
        setp.eq.u32 %p1, %r2, 0;
        @%p1 bra $first;
    $again:
        ld.volatile.global.u32 %r3, [%rd1];
        setp.eq.u32 %p2, %r3, 0;
        @%p2 bra $again;
        bra.uni $end;
    $first:
        mov.u32 %r4, 1500;
    $sum:
        ld.global.u32 %r5, [%rd1+8];
        add.u32 %r4, %r4, -1;
        setp.ne.u32 %p3, %r4, 0;
        @%p3 bra $sum;
        st.volatile.global.u32 [%rd1], 1;
    $end:
        mov.u32 %r6, 1;
    """
    array = np.zeros(8, np.int32)
    run(body, array, threads=1, blocks=2, seed=1)
    assert array[:2].tolist() == [1, 2]
