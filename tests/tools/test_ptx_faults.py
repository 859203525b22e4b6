"""What the interpreter of PTX must find: for each of its rules a kernel that breaks it."""

import ast
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import ptx
import pytest
from places import TOOLS
from ptx import Fault
from ptx_texts import HEAD, REVERSE, SHARED, kernel

LOAD, LOCAL = "ld.global.f32 %f1, [%rd3];", ".local .align 8 .b8 own[12];"
BEHIND = """
    setp.lt.u32 %p1, %r1, 5;
    @%p1 bra $end;
    {instruction}
$end:
    mov.u32 %r2, %r1;
"""
TWO_BARRIERS = """
    setp.lt.u32 %p1, %r1, 16;
    @%p1 bra $other;
    bar.sync 0;
    bra.uni $end;
$other:
    bar.sync 1;
$end:
    mov.u32 %r2, %r1;
"""


class Planted(NamedTuple):
    """A kernel with a fault, which a launch of some threads shows.

    Attributes
    ----------
    body : str
        Of a kernel around it; or the whole text of a module.
    match : str
        A pattern of what must be said.
    how : dict
        Arguments of the launch, `size` (elements of the array) and `writable`.
    """

    body: str
    match: str
    how: Mapping = MappingProxyType({})


APART = r"race: two threads use one place, one of them writes, and no barrier is between, in: "
NEAREST = "not rounded to nearest"
PLANTED = {
    # Memory
    "before the array": Planted("ld.global.f32 %f1, [%rd1+-4];", r"outside of the arrays, at 0x\w+, in: ld\.global"),
    "behind the array": Planted(LOAD, "outside of the arrays", {"threads": 33}),
    "write behind the array": Planted("st.global.f32 [%rd3], %f1;", "outside of the arrays", {"threads": 64}),
    "no array": Planted(LOAD, "outside of the arrays", {"size": 0}),
    "half behind the array": Planted(
        "ld.global.f64 %fd1, [%rd1+8];", "outside of the arrays", {"threads": 1, "size": 3}
    ),
    "behind shared memory": Planted("st.shared.f32 [buffer+256], %f1;", "outside of shared memory, at 0x100 of 256"),
    "shared memory by a register": Planted("mov.u32 %r2, 256;\nld.shared.f32 %f1, [%r2];", "outside of shared"),
    "behind a thread's own": Planted("ld.local.f64 %fd1, [own+8];", "outside of local memory, at 0x8 of 12"),
    "own as generic": Planted("mov.u64 %rd4, own;\ncvta.local.u64 %rd4, %rd4;\nld.b64 %rd5, [%rd4+8];", "of local mem"),
    "own as global": Planted("mov.u64 %rd4, own;\nld.global.u32 %r2, [%rd4];", "outside of the arrays"),
    "global as shared": Planted("cvta.to.shared.u64 %rd4, %rd1;", "the address is of another space, in: cvta"),
    "short generic address": Planted("cvta.shared.u32 %r2, %r1;", r"unknown instruction cvta\.shared\.u32"),
    "misaligned": Planted("ld.global.f32 %f1, [%rd3+2];", r"misaligned access of 4 bytes at 0x\w+, in: ld"),
    "misaligned pair": Planted("st.global.v2.f32 [%rd1+4], {%f1, %f2};", "misaligned access of 8", {"threads": 1}),
    "misaligned four": Planted(
        "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1+8];", "misaligned access of 16", {"threads": 1}
    ),
    "misaligned shared": Planted("ld.shared.b64 %rd4, [buffer+4];", "misaligned access of 8 bytes at 0x4"),
    "read-only": Planted("st.global.f32 [%rd3], %f1;", "write to an array that is read-only", {"writable": False}),
    "constant that is written": Planted(
        f"{LOAD}\nst.global.f32 [%rd3], %f1;\nld.global.nc.f32 %f2, [%rd3];", r"writes what it reads by \.nc"
    ),
    "no such parameter": Planted("ld.param.u64 %rd4, [b];", "no parameter b of 64 bits"),
    "more of a parameter": Planted("ld.param.v2.u64 {%rd4, %rd5}, [a];", "unknown instruction"),
    # Races
    "no barrier": Planted(REVERSE.format(barrier=""), APART, {"threads": 64, "size": 64}),
    "barrier between blocks": Planted(
        f"bar.sync 0;\n{LOAD}\nbar.sync 0;\nst.global.f32 [%rd3], %f1;", APART, {"blocks": 2}
    ),
    "write where several read": Planted(
        "ld.global.f32 %f1, [%rd1];\nsetp.eq.s32 %p1, %r1, 3;\n@%p1 st.global.f32 [%rd1], %f1;", "race: "
    ),
    "two write at once": Planted("st.global.u32 [%rd1], %r1;", "race: two threads "),
    "halves of one word": Planted(
        "cvt.u16.u32 %h1, %r1;\nst.global.u16 [%rd1], %h1;\nld.global.u32 %r2, [%rd1];", "race: ", {"threads": 2}
    ),
    "atomic and not": Planted("atom.global.add.u32 %r2, [%rd1], 1;\nld.global.u32 %r3, [%rd1];", "race: "),
    "not atomic and atomic": Planted("st.shared.u32 [buffer], %r1;\natom.shared.max.u32 %r2, [buffer], 1;", "race: "),
    "relaxed and not": Planted(
        "st.relaxed.gpu.global.u32 [%rd1], 7;\nst.global.u32 [%rd1], %r1;", "race: ", {"blocks": 2}
    ),
    "atomic on what is read-only": Planted(
        "atom.global.exch.b32 %r2, [%rd1], 1;", "write to an array that is read-only", {"writable": False}
    ),
    "atomic of the block alone": Planted("atom.relaxed.cta.global.add.u32 %r2, [%rd1], 1;", "unknown instruction"),
    # Threads that must come together
    "absent in a shuffle": Planted(
        BEHIND.format(instruction="shfl.sync.bfly.b32 %r3|%p2, %r1, 1, 31, -1;"),
        "threads of warp 0 take part: the mask 0xffffffff names lanes 0, 1, 2, 3, 4, which have not come, in: shfl",
    ),
    "absent in a ballot": Planted(
        BEHIND.format(instruction="vote.sync.ballot.b32 %r3, %p1, -1;"), "which .*, in: vote"
    ),
    "absent in a match": Planted(
        BEHIND.format(instruction="match.any.sync.b32 %r3, %r1, -16;"), "lanes 4, .*in: match"
    ),
    "absent in a redux": Planted(
        BEHIND.format(instruction="redux.sync.add.s32 %r3, %r1, -16;"), "lanes 4, .*in: redux"
    ),
    "short warp": Planted("shfl.sync.bfly.b32 %r3, %r1, 1, 31, -1;", "names lanes 20, 21, ", {"threads": 20}),
    "not in one's own mask": Planted("shfl.sync.bfly.b32 %r3, %r1, 1, 31, 6;", "lane 0 is not in its own mask 0x6"),
    "masks that differ": Planted(
        "mov.u32 %r3, 3;\nsub.s32 %r3, %r3, %r1;\nshfl.sync.down.b32 %r4, %r1, 0, 31, %r3;",
        "the mask 0x3 names lanes 1, which",
        {"threads": 2},
    ),
    "shuffle from outside of the mask": Planted(
        "shfl.sync.down.b32 %r3, %r1, 1, 31, 3;", "a shuffle from lane 2, which takes no part", {"threads": 2}
    ),
    "shuffle under a guard": Planted(
        "setp.lt.u32 %p1, %r1, 16;\n@%p1 shfl.sync.bfly.b32 %r3, %r1, 16, 31, -1;", "not all threads of warp 0"
    ),
    "two barriers": Planted(
        TWO_BARRIERS, r"threads of block 0 wait at different barriers: bar\.sync [01]; and bar\.sync [01];"
    ),
    "some at a barrier, some at a shuffle": Planted(
        TWO_BARRIERS.replace("bar.sync 1", "shfl.sync.bfly.b32 %r3, %r1, 1, 31, -1"), "not all threads of warp 0"
    ),
    "branch that parts": Planted(
        "setp.lt.u32 %p1, %r1, 9;\n@%p1 bra.uni $end;\n$end:\nmov.u32 %r2, 1;", "a warp parts"
    ),
    "barrier for some": Planted("bar.sync 0, 32;", "bar.sync has the operands 0"),
    "barrier in a register": Planted("bar.sync %r1;", "barriers are numbered 0 to 15"),
    "barrier that only arrives": Planted("bar.arrive 0, 64;", r"unknown instruction bar\.arrive"),
    "absent at a barrier of the warp": Planted(BEHIND.format(instruction="bar.warp.sync -1;"), "which .*, in: bar"),
    "waiting for nobody": Planted(
        "$again:\nld.relaxed.gpu.global.u32 %r2, [%rd1];\nsetp.eq.s32 %p1, %r2, 0;\n@%p1 bra $again;",
        "they wait for what does not come, at: ",
    ),
    "waiting by an exchange": Planted(
        "$again:\natom.global.exch.b32 %r2, [%rd1], 0;\nsetp.eq.s32 %p1, %r2, 0;\n@%p1 bra $again;",
        "they wait for what does not come, at: ",
    ),
    # Arithmetic
    "no rounding": Planted("add.f32 %f1, %f2, %f3;", rf"add\.f32 has no \.rn: {NEAREST}"),
    "no rounding of doubles": Planted("mul.f64 %fd1, %fd2, %fd3;", r"mul\.f64 has no \.rn"),
    "to zero": Planted("add.rz.f32 %f1, %f2, %f3;", rf"add\.rz\.f32 is {NEAREST}"),
    "down": Planted("mul.rm.f64 %fd1, %fd2, %fd3;", NEAREST),
    "up": Planted("div.rp.f32 %f1, %f2, %f3;", NEAREST),
    "conversion to zero": Planted("cvt.rz.f32.f64 %f1, %fd1;", NEAREST),
    "flushes": Planted("add.rn.ftz.f32 %f1, %f2, %f3;", r"replaces numbers \(\.ftz"),
    "absolute value that flushes": Planted("abs.ftz.f32 %f1, %f2;", r"replaces numbers \(\.ftz"),
    "comparison that flushes": Planted("setp.lt.ftz.f32 %p1, %f1, %f2;", r"replaces numbers \(\.ftz"),
    "saturates": Planted("add.rn.sat.f32 %f1, %f2, %f3;", r"replaces numbers"),
    "full": Planted("div.full.f32 %f1, %f2, %f3;", "approximate"),
    "approximate": Planted("sqrt.approx.f32 %f1, %f2;", "approximate"),
    "approximate, unknown too": Planted("ex2.approx.f32 %f1, %f2;", "approximate"),
    "contracted": Planted("fma.rn.f32 %f1, %f2, %f3, %f4;", r"contracted.*contraction=True permits fma\.rn, in: fma"),
    "contracted, of doubles": Planted("fma.rn.f64 %fd1, %fd2, %fd3, %fd4;", "contracted"),
    "contracted, as it was called": Planted("mad.rn.f32 %f1, %f2, %f3, %f4;", "contracted"),
    "divided by 0": Planted("div.u32 %r2, 5, %r1;", "an integer is divided by 0"),
    "remainder of 0": Planted("rem.s32 %r2, 5, %r1;", "an integer is divided by 0"),
    "too large an integer": Planted("cvt.rzi.s32.f64 %r2, 0d41E0000000000000;", "too large"),
    "negative and unsigned": Planted("cvt.rzi.u32.f32 %r2, 0fBF800000;", "too large"),
    # Text
    "unknown": Planted("clz.b32 %r2, %r1;", r"unknown instruction clz\.b32: docs/howto/ptx\.md has those .*, in: clz"),
    "never run, but unknown": Planted("bra $end;\nclz.b32 %r2, %r1;\n$end:\nmov.u32 %r2, 1;", "unknown instruction"),
    "too wide": Planted("mul.wide.u64 %rd4, %rd1, %rd2;", r"unknown instruction mul\.wide\.u64"),
    "operands": Planted("add.s32 %r2, %r1;", r"add\.s32 has the operands d, a, b"),
    "undeclared": Planted("mov.u32 %r2, %r9;", "there is no register %r9"),
    "undeclared guard": Planted("@%q1 mov.u32 %r2, %r1;", "there is no register %q1"),
    "special register": Planted("mov.u32 %r2, %clock;", "there is no register %clock"),
    "declared twice": Planted("{.reg .b32 x;}\n{.reg .b64 x;}", "the register x is declared twice"),
    "too few bits": Planted("add.s64 %rd4, %rd1, %r1;", r"%r1 has other bits than int64"),
    "result of other bits": Planted("add.s32 %rd4, %r1, %r1;", "%rd4 has other bits than int32"),
    "no number": Planted("mov.u32 %r2, nothing;", "nothing is no uint32 constant"),
    "no address": Planted("ld.global.f32 %f1, [%rd1-%rd2];", r"\[%rd1-%rd2\] is no address"),
    "no label": Planted("bra $nowhere;", r"there is no label \$nowhere"),
    "registers of a vector": Planted("ld.global.v2.f32 %f1, [%rd1];", "does not have 1 registers"),
    "parts of a register": Planted("mov.b32 {%h1, %h2, %h3}, %r1;", "3 registers have no uint32"),
    "field that varies": Planted("bfe.u32 %r2, %r1, %r1, 3;", "only fields at constant places"),
    "unreadable": Planted("@@ add.s32 %r2, %r1, 1;", "cannot read '@@ add"),
    "struct": Planted(
        f"{HEAD}.visible .entry f(.param .b8 s[16]) {{ ret; }}", r"only parameters .*: \.param \.b8 s\[16"
    ),
    "registers of another type": Planted("{.reg .b128 x;}", "registers of type b128 are not known: %x"),
    "no end": Planted(f"{HEAD}.visible .entry f() {{ ret;", "the kernel's last brace is missing"),
    "name": Planted(f"{HEAD}.visible .entry größe() {{ ret; }}", "the kernel 'größe' has a name that is no id.* ASCII"),
    "not ASCII": Planted(f"{HEAD}.visible .entry f() {{ .reg .b32 %ö<2>; ret; }}", "line 4 is not ASCII"),
}


def plant(planted, **more):
    """Launch it, on an array of 32 numbers of 4 bytes."""
    how = {"blocks": 1, "threads": 32, "size": 32, "writable": True, **planted.how, **more}
    room = np.zeros(how.pop("size"), np.float32)
    room.flags.writeable = how.pop("writable")
    text = planted.body if ".entry" in planted.body else kernel(planted.body, shared=SHARED + LOCAL)
    arguments = [room.ctypes.data] if "(\n" in text else [0] * text.count(".param")
    ptx.launch(text, how.pop("blocks"), how.pop("threads"), arguments, [room], **how)


@pytest.mark.parametrize("name", PLANTED)
def test_each_is_found(name):
    """By whichever seed, so in whichever order."""
    for seed in range(4):
        with pytest.raises(Fault, match=PLANTED[name].match):
            plant(PLANTED[name], seed=seed)


def sites():
    """Where the interpreter raises a fault of its own, and does not add to one that it has caught."""
    for path in sorted((TOOLS / "ptx").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Raise)
                and node.cause is None
                and ast.unparse(node.exc or node).startswith("Fault(")
            ):
                yield path.name, node.lineno


def test_every_rule_has_one():
    """Each line that raises a fault does so for one of the kernels above."""
    reached = set()
    for planted in PLANTED.values():
        for seed in range(4):
            with pytest.raises(Fault) as caught:
                plant(planted, seed=seed)
            error = caught.value
            while error is not None:
                last = traceback.extract_tb(error.__traceback__)[-1]
                reached.add((last.filename.rpartition("/")[2], last.lineno))
                error = error.__context__
    assert sorted(set(sites()) - reached) == []


# What a race or junk does to results, where nothing looks for it


def results(body, seeds=32, threads=64, **how):
    """The different results by so many seeds."""
    found = set()
    for seed in range(seeds):
        array = np.arange(threads, dtype=np.float32)
        text = kernel(body, shared=SHARED + LOCAL)
        ptx.launch(text, 1, threads, [array.ctypes.data], [array], seed=seed, **how)
        found.add(array.tobytes())
    return found


def test_order_alone_shows_a_missing_barrier():
    assert len(results(REVERSE.format(barrier=""), races=False)) > 2
    assert len(results(REVERSE.format(barrier="bar.sync 0;"), races=False)) == 1


def test_order_alone_shows_that_lanes_of_a_warp_are_not_in_step():
    """Each thread reads what its neighbour has written, in one warp, without a barrier."""
    assert len(results(REVERSE.format(barrier="").replace("252", "124"), threads=32, races=False)) > 2


@pytest.mark.parametrize(
    "source",
    [
        "mov.b32 %r2, %r3;",
        "mov.b32 %r2, %f3;",
        "ld.shared.b32 %r2, [buffer+8];",
        "ld.local.b32 %r2, [own+4];",
        "selp.b32 %r2, 1, 2, %p3;",
    ],
    ids=["register", "float", "shared", "own", "predicate"],
)
def test_what_nothing_has_written_is_junk(source):
    found = results(f"{source}\nst.global.b32 [%rd3], %r2;")
    assert len(found) > 20


def test_a_new_array_is_junk():
    def run(x, y, seed):
        ptx.load(kernel(f"{LOAD}\nst.global.f32 [%rd3], %f1;"))(1, 32, y, seed=seed)

    x, y = np.zeros(32, np.float32), ptx.junk(32, np.float32, seed=1)
    assert ptx.differing(run, [x, y], range(3)) == []
    assert ptx.differing(run, [x, y], range(3), unwritten=[1]) == [1]


def test_one_seed_has_one_result():
    array = [np.zeros(64, np.float32) for _ in range(2)]
    text = kernel(REVERSE.format(barrier=""), shared=SHARED)
    steps = [ptx.launch(text, 1, 64, [a.ctypes.data], [a], seed=3, races=False).executed for a in array]
    assert array[0].tobytes() == array[1].tobytes()
    assert steps[0] == steps[1]


def test_a_fault_tells_its_seed():
    with pytest.raises(Fault, match=r"\(seed 17\)$"):
        plant(PLANTED["no barrier"], seed=17)


def test_two_writers_of_a_flag_are_no_race():
    flag = np.zeros(1, np.int32)
    ptx.launch(kernel("st.global.u32 [%rd1], 1;"), 1, 64, [flag.ctypes.data], [flag])
    assert flag == 1


def test_order_alone_shows_that_blocks_do_not_wait_for_one_another():
    """The first block writes behind its second barrier, and the second reads behind its first, so mostly before."""
    body = """
        mov.u32 %r2, %ctaid.x;
        setp.eq.s32 %p1, %r2, 0;
        mov.u32 %r3, 0;
        bar.sync 0;
        @!%p1 ld.global.u32 %r3, [%rd3];
        bar.sync 0;
        @%p1 st.global.u32 [%rd3], 7;
        @!%p1 st.global.u32 [%rd3+128], %r3;
    """
    found = set()
    for seed in range(32):
        array = np.zeros(64, np.int32)
        ptx.launch(kernel(body), 2, 32, [array.ctypes.data], [array], seed=seed, races=False)
        found |= {*array[32:].tolist()}
    assert found == {0, 7}
