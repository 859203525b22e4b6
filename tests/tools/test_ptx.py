"""The interpreter of PTX: what it computes, and that it finds what has been planted."""

import numpy as np
import ptx
import pytest
from ptx import Fault
from ptx_texts import REVERSE, SHARED, kernel, run


def one(instruction, a, b=None, c=None, kind="f32"):
    """The result of one instruction `op %out, %a, %b, %c` on registers of this kind."""
    dtype = ptx.TYPES[kind]
    operands = [np.array(x, dtype) for x in (a, b, c) if x is not None]
    data = np.zeros(4, dtype)
    data[1 : 1 + len(operands)] = operands
    prefix = {"f32": "f", "f64": "fd"}.get(kind, "r" if dtype.itemsize == 4 else "rd")
    loads = "".join(
        f"ld.global.{kind} %{prefix}{i}, [%rd1+{i * dtype.itemsize}];\n" for i in range(1, 1 + len(operands))
    )
    sources = ", ".join(f"%{prefix}{i}" for i in range(1, 1 + len(operands)))
    start = "ld.param.u64 %rd1, [a];\n" if prefix != "rd" else "ld.param.u64 %rd8, [a];\n"
    base = "%rd1" if prefix != "rd" else "%rd8"
    sources += ", 3, 4" if instruction.startswith("bf") else ""
    body = f"{loads}{instruction} %{prefix}7, {sources};\nst.global.{kind} [{base}], %{prefix}7;"
    run(body.replace("[%rd1", f"[{base}"), data, threads=1, begin=start)
    return data[0]


@pytest.mark.parametrize(
    ("instruction", "kind", "operands", "result"),
    [
        ("add.rn.f32", "f32", (1, 2**-24), 1),
        ("mul.rn.f32", "f32", (3, -0.5), -1.5),
        ("div.rn.f32", "f32", (1, 3), np.float32(1) / np.float32(3)),
        ("sqrt.rn.f32", "f32", (2,), np.sqrt(np.float32(2))),
        ("sqrt.rn.f64", "f64", (2,), np.sqrt(2.0)),
        ("copysign.f32", "f32", (-0.0, 2), -2),
        ("neg.f32", "f32", (0,), -0.0),
        ("abs.f64", "f64", (-3,), 3),
        ("min.f32", "f32", (np.nan, 2), 2),
        ("max.s32", "s32", (-1, 1), 1),
        ("max.u32", "u32", (2**32 - 1, 1), 2**32 - 1),
        ("add.s32", "s32", (2**31 - 1, 1), -(2**31)),
        ("mul.lo.s32", "s32", (-3, 5), -15),
        ("mad.lo.s32", "s32", (-3, 5, 1), -14),
        ("shl.b32", "b32", (1, 31), 2**31),
        ("shl.b32", "b32", (1, 32), 0),
        ("shr.s32", "s32", (-8, 40), -1),
        ("shr.u32", "u32", (2**31, 31), 1),
        ("and.b32", "b32", (6, 3), 2),
        ("div.s32", "s32", (-7, 2), -3),
        ("rem.s32", "s32", (-7, 2), -1),
        ("div.u32", "u32", (7, 2), 3),
        ("mul.hi.s32", "s32", (-(2**31), 3), -2),
        ("mul.hi.u32", "u32", (2**31, 6), 3),
        ("min.f32", "f32", (0.0, -0.0), -0.0),
        ("max.f32", "f32", (-0.0, 0.0), 0.0),
        ("bfi.b32", "b32", (5, 2**31), 2**31 + 40),
        ("not.b32", "b32", (0,), 2**32 - 1),
    ],
)
def test_results(instruction, kind, operands, result):
    found = one(instruction, *operands, kind=kind)
    assert found == result
    assert np.signbit(found) == np.signbit(np.array(result, found.dtype))


@pytest.mark.parametrize(
    ("comparison", "a", "b", "holds"),
    [
        ("lt.f32", 1, 2, True),
        ("lt.f32", np.nan, 2, False),
        ("ltu.f32", np.nan, 2, True),
        ("eq.f32", 0.0, -0.0, True),
        ("ne.f32", np.nan, np.nan, False),
        ("neu.f32", np.nan, np.nan, True),
        ("geu.f32", 1, 2, False),
    ],
)
def test_comparisons(comparison, a, b, holds):
    array = np.array([0, a, b], np.float32)
    body = f"""
        ld.global.f32 %f1, [%rd1+4];
        ld.global.f32 %f2, [%rd1+8];
        setp.{comparison} %p1, %f1, %f2;
        selp.f32 %f3, 0f3F800000, 0f00000000, %p1;
        st.global.f32 [%rd1], %f3;
    """
    run(body, array, threads=1)
    assert array[0] == holds


def test_threads_part_and_meet():
    """Each thread halves its number until it is odd."""
    array = np.arange(1, 65, dtype=np.int32)
    expected = [n // (n & -n) for n in range(1, 65)]
    body = """
        ld.global.u32 %r2, [%rd3];
    $again:
        and.b32 %r3, %r2, 1;
        setp.eq.s32 %p1, %r3, 1;
        @%p1 bra $odd;
        shr.u32 %r2, %r2, 1;
        bra.uni $again;
    $odd:
        st.global.u32 [%rd3], %r2;
    """
    run(body, array, threads=64)
    assert array.tolist() == expected


def test_shuffles_fold_a_warp():
    array = np.arange(64, dtype=np.float32)
    folds = "".join(
        f"""
        mov.b32 %r2, %f1;
        shfl.sync.bfly.b32 %r3|%p1, %r2, {n}, 31, -1;
        mov.b32 %f2, %r3;
        add.rn.f32 %f1, %f1, %f2;"""
        for n in (16, 8, 4, 2, 1)
    )
    run(f"ld.global.f32 %f1, [%rd3];{folds}\nst.global.f32 [%rd3], %f1;", array, threads=64)
    assert array.tolist() == [sum(range(32))] * 32 + [sum(range(32, 64))] * 32


def test_ballots_count_threads():
    array = np.zeros(64, np.int32)
    body = """
        rem.u32 %r2, %r1, 3;
        setp.eq.u32 %p1, %r2, 0;
        vote.sync.ballot.b32 %r3, %p1, -1;
        popc.b32 %r4, %r3;
        st.global.u32 [%rd3], %r4;
    """
    run(body, array, threads=64)
    assert array.tolist() == [11] * 64  # multiples of 3 below 32, and from 32 to 63


def test_loads_keep_the_sign_in_wider_registers():
    array = np.array([-5, 0, 0, 0], np.int32)
    body = "ld.global.s32 %rd4, [%rd1];\nst.global.u64 [%rd1+8], %rd4;"
    room = array.view(np.int64)
    ptx.launch(kernel(body), 1, 1, [room.ctypes.data], [room])
    assert room[1] == -5


def test_threads_that_come_later_are_waited_for_in_a_shuffle():
    """The branch that half of the warp takes stands behind the shuffle."""
    array = np.zeros(32, np.int32)
    body = """
        mov.u32 %r2, 1;
        setp.lt.u32 %p1, %r1, 16;
        @%p1 bra $behind;
    $meet:
        shfl.sync.bfly.b32 %r3|%p2, %r2, 16, 31, -1;
        st.global.u32 [%rd3], %r3;
        bra.uni $end;
    $behind:
        mov.u32 %r2, 2;
        bra.uni $meet;
    $end:
        mov.u32 %r4, %r1;
    """
    run(body, array)
    assert array.tolist() == [1] * 16 + [2] * 16


def test_a_barrier_orders_shared_memory():
    array = np.arange(64, dtype=np.float32)
    run(REVERSE.format(barrier="bar.sync 0;"), array, threads=64, shared=SHARED)
    assert array.tolist() == list(range(63, -1, -1))


def test_halves_of_registers():
    data = np.array([1.5, 0, 0])
    body = """
        ld.global.f64 %fd1, [%rd1];
        { .reg .b32 tmp; mov.b64 {tmp, %r1}, %fd1; }
        mov.b64 {%r2, %r3}, %fd1;
        mov.b64 %fd2, {%r2, %r1};
        st.global.f64 [%rd1+8], %fd2;
        mov.b64 %rd3, {%r1, %r2};
        st.global.u64 [%rd1+16], %rd3;
    """
    run(body, data, threads=1)
    assert data[1] == 1.5
    assert data.view(np.uint64)[2] == np.array(1.5).view(np.uint64) >> np.uint64(32)


def test_bits_are_taken_out():
    data = np.array([0b1011_0110, 0], np.uint64)
    body = "ld.global.u64 %rd3, [%rd1];\nbfe.u64 %rd4, %rd3, 2, 4;\nst.global.u64 [%rd1+8], %rd4;"
    run(body, data, threads=1)
    assert data[1] == 0b1101


def test_what_is_not_wanted_is_dropped():
    data = np.array([2**40 + 5, 0], np.uint64)
    run("ld.global.u64 %rd3, [%rd1];\nmov.b64 {_, %r2}, %rd3;\nst.global.u32 [%rd1+8], %r2;", data, threads=1)
    assert data[1] == 2**8


def test_parameters_are_read_by_their_bits():
    data = np.zeros(2, np.float32)
    text = kernel("ld.param.b32 %r2, [b];\nst.global.b32 [%rd1], %r2;")
    text = text.replace(".param .u64 a\n", ".param .u64 a,\n.param .f32 b\n")
    ptx.launch(text, 1, 1, [data.ctypes.data, np.float32(1.5)], [data])
    assert data[0] == 1.5


@pytest.mark.parametrize(("how", "expected"), [("rmi", -3), ("rpi", -2), ("rni", -2), ("rzi", -2)])
def test_whole_numbers(how, expected):
    assert one(f"cvt.{how}.f32.f32", -2.5) == expected


@pytest.mark.parametrize("x", [2.0**63, np.nan, -np.inf])
def test_numbers_that_are_no_integers_are_not_converted(x):
    body = "ld.global.f64 %fd1, [%rd1];\ncvt.rzi.s64.f64 %rd4, %fd1;\nst.global.u64 [%rd1], %rd4;"
    data = np.array([-2.5])
    run(body, data, threads=1)
    assert data.view(np.int64)[0] == -2
    with pytest.raises(Fault, match="too large"):
        run(body, np.array([x]), threads=1)
