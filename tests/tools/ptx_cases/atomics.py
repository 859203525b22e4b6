"""Atomic operations: what each thread finds and what is left, in whatever order the threads come."""

import operator
from collections import Counter
from functools import partial

import numpy as np
import ptx

from .exact import number_of, operands, whole, width
from .running import kernel, launch

CELLS, THREADS, BLOCK, SEEDS = 4, 64, 32, 2
OPERATIONS = {
    "add": (operator.add, ("s32", "u32", "u64")),
    "min": (lambda a, b: b if b < a else a, ("s32", "u32", "s64", "u64")),
    "max": (lambda a, b: b if b > a else a, ("s32", "u32", "s64", "u64")),
    "and": (operator.and_, ("b32", "b64")),
    "or": (operator.or_, ("b32", "b64")),
    "xor": (operator.xor, ("b32", "b64")),
    "exch": (lambda a, b: b, ("b32", "b64")),
}


def cases():
    for scope in ("", ".relaxed.gpu", ".relaxed.sys"):
        for space in ("global", "shared"):
            for written in (f".{space}", ""):
                for operation, (function, kinds) in OPERATIONS.items():
                    for kind in kinds:
                        name = f"atom{scope}{written}.{operation}.{kind}"
                        yield name, partial(require_one_after_the_other, name, space, function, kind)


# Every other cell is in another array.
GLOBAL = """
    and.b32 %odd, %cell, 1;
    setp.eq.u32 %other, %odd, 1;
    selp.b64 %place, %at_others, %at_cells, %other;
    mad.wide.u32 %place, %cell, {size}, %place;
    {atom} %found, [%place], %given;
"""
# The threads of a block have cells of their own, which some of them fill and empty.
SHARED = """
    mov.u64 %cells, own;
    mad.wide.u32 %place, %cell, {size}, %cells;
    {generic}
    mad.wide.u32 %at_cells, %cell, {size}, %at_cells;
    setp.ge.u32 %other, %index, {cells};
    @%other bra $filled;
    ld.global.b{bits} %moved, [%at_cells];
    st{written}.b{bits} [%place], %moved;
$filled:
    bar.sync 0;
    {atom} %found, [%place], %given;
    bar.sync 0;
    @%other bra $emptied;
    ld{written}.b{bits} %moved, [%place];
    st.global.b{bits} [%at_cells], %moved;
$emptied:
"""


def require_one_after_the_other(name, space, function, kind):
    bits, size = width(kind), width(kind) // 8
    drawn = operands(kind, drawn=THREADS)[: THREADS + CELLS]
    shared, written = space == "shared", ".shared" if ".shared" in name else ""
    text = (SHARED if shared else GLOBAL).format(
        atom=name,
        size=size,
        bits=bits,
        cells=CELLS,
        written=written,
        generic="" if written else "cvta.shared.u64 %place, %place;",
    )
    body = f"""
        and.b32 %cell, %index, {CELLS - 1};
        ld.global.b{bits} %given, [%at_given];
        {text}
        st.global.b{bits} [%at_found], %found;
    """
    registers = {"cell": "b32", "place": "b64", "cells": "b64", "other": "pred", "odd": "b32"}
    registers |= dict.fromkeys(("given", "found", "moved"), f"b{bits}")
    code = kernel(
        {"cells": 0, "others": 0, "given": size, "found": size},
        registers,
        body,
        f".shared .align 8 .b8 own[{8 * CELLS}];",
    )
    for seed in range(SEEDS):
        given = np.array(drawn[:THREADS], f"u{size}")
        cells, others = (np.array(drawn[THREADS:], f"u{size}") for _ in range(2))
        found = ptx.junk(THREADS, f"u{size}", seed)
        launch(code, [cells, others, given, found], THREADS, seed, threads=THREADS if shared else BLOCK)
        for cell in range(CELLS):
            steps = [
                (old, whole(function(number_of(old, kind), number_of(operand, kind)), kind))
                for old, operand in zip(found[cell::CELLS].tolist(), drawn[:THREADS][cell::CELLS], strict=True)
            ]
            left = int((cells if shared or cell % 2 == 0 else others)[cell])
            if not lead_from(drawn[THREADS + cell], left, steps):
                raise AssertionError(f"{name}: no order of threads leaves {left:#x} and what they have found")


def lead_from(start, end, steps):
    """Whether all these steps, from a number to another, can be made one after the other from the start to the end.

    They can, like a walk over each bridge of a town once, if as many lead to each number as away from it, with one more
    from the end to the start, and if all can be reached.
    """
    away, to = Counter([end, *(old for old, _ in steps)]), Counter([start, *(new for _, new in steps)])
    reached, left = {start}, True
    while left:
        left = {new for old, new in steps if old in reached} - reached
        reached |= left
    return away == to and all(old in reached for old, _ in steps)
