"""Branches, returns and barriers: kernels whose results show where threads have gone, and in which order."""

from functools import partial

import numpy as np
import ptx

from .running import kernel, launch

THREADS, SEEDS = 192, 6


def cases():
    yield "bra", partial(require_results, STEPS_TO_ONE, steps_to_one)
    yield "bra.uni", partial(require_results, ROUNDS_OF_WARPS, lambda thread: sum(range(thread // 32 + 1)))
    for name in ("ret", "exit"):
        yield name, partial(require_results, LEAVE.format(leave=name), lambda thread: 1 if thread % 3 else 2)
    for name in ("bar.sync", "barrier.sync", "barrier.sync.aligned"):
        body = MEET.format(weak_or_strong="", meet=f"{name} 0;", among=64)
        yield name, partial(require_results, body, partial(met, among=64))
    yield "bar.warp.sync", require_warps_met


def results(body, seed):
    registers = dict.fromkeys(("number", "result", "other", "thread"), "b32") | dict.fromkeys(("p", "q"), "pred")
    registers |= {"place": "b64", "from": "b64"}
    found = ptx.junk(THREADS, np.uint32, seed)
    variables = ".shared .align 4 .b8 own[256];"
    launch(kernel({"found": 4}, registers, body, variables), [found], THREADS, seed, threads=64)
    return found.tolist()


def require_results(body, expected):
    wanted = [expected(thread) for thread in range(THREADS)]
    for seed in range(SEEDS):
        found = results(body, seed)
        if found != wanted:
            raise AssertionError(f"with seed {seed} threads have {found}, not {wanted}, by: {body}")


# Halved where it is even, three times itself and 1 where it is not.
STEPS_TO_ONE = """
    mov.u32 %result, 0;
    add.u32 %number, %index, 1;
$again:
    setp.eq.u32 %p, %number, 1;
    @%p bra $store;
    add.u32 %result, %result, 1;
    and.b32 %other, %number, 1;
    setp.ne.u32 %q, %other, 0;
    @!%q bra $even;
    mad.lo.u32 %number, %number, 3, 1;
    bra $again;
$even:
    shr.u32 %number, %number, 1;
    bra $again;
$store:
    st.global.u32 [%at_found], %result;
"""


def steps_to_one(thread):
    number, steps = thread + 1, 0
    while number > 1:
        number, steps = 3 * number + 1 if number % 2 else number // 2, steps + 1
    return steps


# A warp goes round as often as its number says.
ROUNDS_OF_WARPS = """
    mov.u32 %result, 0;
    div.u32 %number, %index, 32;
    bra.uni $look;
    mov.u32 %result, 1000;
$again:
    add.u32 %result, %result, %number;
    sub.u32 %number, %number, 1;
$look:
    setp.ne.u32 %p, %number, 0;
    @%p bra.uni $again;
    st.global.u32 [%at_found], %result;
"""
LEAVE = """
    st.global.u32 [%at_found], 1;
    rem.u32 %number, %index, 3;
    setp.ne.u32 %p, %number, 0;
    @%p {leave};
    st.global.u32 [%at_found], 2;
"""
# Each thread gets what another has written, of all in the block or of the warp.
MEET = """
    mov.u32 %thread, %tid.x;
    mul.wide.u32 %place, %thread, 4;
    mov.u64 %from, own;
    add.u64 %place, %from, %place;
    mad.lo.u32 %other, %thread, 29, 7;
    rem.u32 %other, %other, {among};
    div.u32 %number, %thread, {among};
    mad.lo.u32 %other, %number, {among}, %other;
    mad.wide.u32 %from, %other, 4, %from;
    st{weak_or_strong}.shared.u32 [%place], %index;
    {meet}
    ld{weak_or_strong}.shared.u32 %result, [%from];
    st.global.u32 [%at_found], %result;
"""


def met(thread, among):
    return thread // among * among + (thread * 29 + 7) % among


def require_warps_met():
    """Without it some order of threads has other results."""
    body = MEET.format(weak_or_strong=".volatile", meet="bar.warp.sync -1;", among=32)
    require_results(body, partial(met, among=32))
    alone = [results(MEET.format(weak_or_strong=".volatile", meet="", among=32), seed) for seed in range(SEEDS)]
    if all(found == alone[0] for found in alone):
        raise AssertionError("threads of a warp meet without an instruction that makes them")
