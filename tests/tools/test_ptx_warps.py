"""The interpreter of PTX: what threads of a warp do together, by PTX's definitions, in any order of threads."""

import numpy as np
import pytest
from ptx_texts import BEGIN, run

STORE = "st.global.b32 [%rd3], %r3;"


def computed(body, threads=32, expected_seeds=3):
    """A number of each thread, which must be the same by several seeds."""
    found = []
    for _ in range(expected_seeds):
        array = np.zeros(threads, np.int32)
        run(f"{body}\n{STORE}", array, threads=threads)
        found.append(array.tolist())
    assert all(each == found[0] for each in found)
    return found[0]


LANES = np.arange(32)


@pytest.mark.parametrize(
    ("how", "by", "limit", "expected"),
    [
        ("up", 3, 0, np.where(LANES >= 3, LANES - 3, LANES)),
        ("down", 3, 31, np.where(LANES <= 28, LANES + 3, LANES)),
        ("bfly", 5, 31, LANES ^ 5),
        ("idx", 7, 31, np.full(32, 7)),
        # In parts of 8 lanes: 24 << 8 says that the upper two bits of a lane choose the part.
        ("up", 3, 24 << 8, np.where(LANES % 8 >= 3, LANES - 3, LANES)),
        ("down", 3, 24 << 8 | 31, np.where(LANES % 8 <= 4, LANES + 3, LANES)),
        ("bfly", 4, 24 << 8 | 31, LANES ^ 4),
        ("idx", 2, 24 << 8 | 31, LANES // 8 * 8 + 2),
        ("bfly", 8, 24 << 8 | 31, np.where(LANES % 16 < 8, LANES, LANES - 8)),
    ],
    ids=str,
)
def test_shuffles(how, by, limit, expected):
    assert computed(f"shfl.sync.{how}.b32 %r3, %r1, {by}, {limit}, -1;") == expected.tolist()


def test_a_shuffle_says_whether_its_lane_is_inside():
    body = "shfl.sync.down.b32 %r4|%p2, %r1, 3, 31, -1;\nselp.b32 %r3, 1, 0, %p2;"
    assert computed(body) == [1] * 29 + [0] * 3


def test_parts_of_a_warp_by_their_masks():
    """Even lanes and odd ones have masks of their own, and come to the shuffle by different ways."""
    body = """
        and.b32 %r4, %r1, 1;
        setp.eq.s32 %p1, %r4, 0;
        selp.b32 %r5, 0x55555555, 0xAAAAAAAA, %p1;
        @%p1 bra $meet;
        add.s32 %r4, %r4, 1;
    $meet:
        shfl.sync.bfly.b32 %r3, %r1, 2, 31, %r5;
        redux.sync.add.s32 %r6, %r1, %r5;
        mad.lo.s32 %r3, %r6, 100, %r3;
    """
    assert computed(body) == [100 * (240 + 16 * (i % 2)) + (i ^ 2) for i in range(32)]


def test_some_lanes_alone():
    body = """
        mov.u32 %r3, 0;
        setp.lt.u32 %p1, %r1, 4;
        @%p1 vote.sync.ballot.b32 %r3, %p1, 15;
    """
    assert computed(body, threads=20) == [15] * 4 + [0] * 16


@pytest.mark.parametrize(
    ("how", "least", "expected"),
    [("all", 40, [1, 0]), ("all", 64, [1, 1]), ("any", 40, [1, 1]), ("any", 32, [1, 0]), ("uni", 40, [1, 0])],
)
def test_votes(how, least, expected):
    body = f"""
        setp.lt.u32 %p1, %r1, {least};
        vote.sync.{how}.pred %p2, %p1, -1;
        selp.b32 %r3, 1, 0, %p2;
    """
    assert computed(body, threads=64) == [expected[0]] * 32 + [expected[1]] * 32


def test_matches():
    body = "rem.u32 %r4, %r1, 3;\nmatch.any.sync.b32 %r3, %r4, -1;"
    masks = [sum(1 << j for j in range(32) if j % 3 == i % 3) for i in range(32)]
    assert [each % 2**32 for each in computed(body)] == masks
    every = "shr.u32 %r4, %r1, 5;\nmatch.all.sync.b32 %r3|%p1, %r4, -1;"
    assert computed(every, threads=64) == [-1] * 64
    none = "match.all.sync.b32 %r3|%p1, %r1, -1;\nselp.b32 %r4, 5, 0, %p1;\nadd.s32 %r3, %r3, %r4;"
    assert computed(none) == [0] * 32


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("add.s32", (sum(range(32)), sum(range(32, 64)))),
        ("min.u32", (0, 32)),
        ("max.s32", (31, 63)),
        ("and.b32", (0, 32)),
        ("or.b32", (31, 63)),
        ("xor.b32", (0, 0)),
    ],
)
def test_folds(how, expected):
    found = computed(f"redux.sync.{how} %r3, %r1, -1;", threads=64)
    assert found == [expected[0]] * 32 + [expected[1]] * 32


@pytest.mark.parametrize(
    ("register", "of_lane"),
    [
        ("laneid", lambda lane: lane),
        ("lanemask_eq", lambda lane: 1 << lane),
        ("lanemask_lt", lambda lane: (1 << lane) - 1),
        ("lanemask_le", lambda lane: (2 << lane) - 1),
        ("lanemask_gt", lambda lane: 2**32 - (2 << lane)),
        ("lanemask_ge", lambda lane: 2**32 - (1 << lane)),
    ],
)
def test_registers_of_lanes(register, of_lane):
    found = computed(f"mov.u32 %r3, %{register};", threads=40)
    assert [each % 2**32 for each in found] == [of_lane(i % 32) for i in range(40)]


@pytest.mark.parametrize("axis", "xyz")
def test_threads_and_blocks_along_three_axes(axis):
    begin = """
        ld.param.u64 %rd1, [a];
        mov.u32 %r1, %tid.z;
        mov.u32 %r2, %ntid.y;
        mov.u32 %r4, %tid.y;
        mad.lo.u32 %r1, %r1, %r2, %r4;
        mov.u32 %r2, %ntid.x;
        mov.u32 %r4, %tid.x;
        mad.lo.u32 %r1, %r1, %r2, %r4;
        mov.u32 %r2, %ctaid.z;
        mul.lo.u32 %r2, %r2, 24;
        add.u32 %r1, %r1, %r2;
        mul.wide.u32 %rd2, %r1, 4;
        add.s64 %rd3, %rd1, %rd2;
    """
    array = np.zeros((2, 2, 3, 4), np.int32)
    run(f"mov.u32 %r3, %tid.{axis};\n{STORE}", array, threads=(4, 3, 2), blocks=(1, 1, 2), begin=begin)
    np.testing.assert_array_equal(array[0], np.indices((2, 3, 4))["zyx".index(axis)])
    np.testing.assert_array_equal(array[0], array[1])
    assert "%tid.x" in BEGIN
