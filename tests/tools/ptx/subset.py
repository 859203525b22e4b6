"""The instructions that the interpreter knows: a table, and what is said of all others."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from .fault import Fault
from .program import Instruction

SETS = {
    "INT": ("s16", "u16", "s32", "u32", "s64", "u64"),
    "INT8": ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"),
    "WORD": ("s32", "u32"),
    "BITS": ("b16", "b32", "b64"),
    "FLOAT": ("f32", "f64"),
    "DATA": ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"),
    "SPACE": ("global", "shared", "local"),
}


class Form(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        With ``{a,b}`` for one of these, ``[.a]`` for what may be left out, and the names of `SETS`.
    operands : str
        As PTX's own manual names them.
    note : str
        What holds here and not everywhere.
    """

    name: str
    operands: str
    note: str = ""


FORMS = (
    Form("ld.param.DATA", "d, [p]", "a parameter"),
    Form("ld[.SPACE][.{v2,v4}].DATA", "d, [a]", "without a space, generic; vectors up to 16 bytes"),
    Form("ld.global.nc[.{v2,v4}].DATA", "d, [a]", "refused where the kernel has written; vectors up to 16 bytes"),
    Form("st[.SPACE][.{v2,v4}].DATA", "[a], b", "without a space, generic; vectors up to 16 bytes"),
    Form("ld.{volatile,relaxed.gpu,relaxed.sys}[.{global,shared}].DATA", "d, [a]", "no race with others like it"),
    Form("st.{volatile,relaxed.gpu,relaxed.sys}[.{global,shared}].DATA", "[a], b", "no race with others like it"),
    Form("atom[.relaxed.{gpu,sys}][.{global,shared}].add.{WORD,u64}", "d, [a], b"),
    Form("atom[.relaxed.{gpu,sys}][.{global,shared}].{min,max}.{WORD,s64,u64}", "d, [a], b"),
    Form("atom[.relaxed.{gpu,sys}][.{global,shared}].{and,or,xor,exch}.{b32,b64}", "d, [a], b"),
    Form("cvta[.to].SPACE.u64", "d, a"),
    Form("mov.{pred,BITS,INT,FLOAT}", "d, a", "also halves of a register, `{x, y}`, and addresses of variables"),
    Form("{add,sub}.INT", "d, a, b"),
    Form("mul.lo.INT", "d, a, b"),
    Form("mul.wide.{s16,u16,WORD}", "d, a, b"),
    Form("mul.hi.WORD", "d, a, b"),
    Form("mad.lo.INT", "d, a, b, c"),
    Form("mad.wide.{s16,u16,WORD}", "d, a, b, c"),
    Form("{div,rem}.INT", "d, a, b", "refused where `b` is 0"),
    Form("{neg,abs}.{s16,s32,s64}", "d, a"),
    Form("{min,max}.INT", "d, a, b"),
    Form("{and,or,xor}.{pred,BITS}", "d, a, b"),
    Form("not.{pred,BITS}", "d, a"),
    Form("shl.BITS", "d, a, n"),
    Form("shr.{BITS,INT}", "d, a, n"),
    Form("popc.{b32,b64}", "d, a"),
    Form("bfe.{u32,u64}", "d, a, first, count", "constants for `first` and `count`, within the register"),
    Form("bfi.{b32,b64}", "d, a, b, first, count", "constants for `first` and `count`, within the register"),
    Form("{add,sub,mul,div}.rn.FLOAT", "d, a, b"),
    Form("sqrt.rn.FLOAT", "d, a"),
    Form("fma.rn.FLOAT", "d, a, b, c", "only with `contraction`"),
    Form("{neg,abs}.FLOAT", "d, a"),
    Form("{min,max,copysign}.FLOAT", "d, a, b"),
    Form("setp.{eq,ne,lt,le,gt,ge}.{INT,FLOAT}", "p, a, b"),
    Form("setp.{eq,ne}.BITS", "p, a, b"),
    Form("setp.{lo,ls,hi,hs}.{u16,u32,u64}", "p, a, b"),
    Form("setp.{equ,neu,ltu,leu,gtu,geu,num,nan}.FLOAT", "p, a, b"),
    Form("selp.{BITS,INT,FLOAT}", "d, a, b, p"),
    Form("cvt.INT8.INT8", "d, a"),
    Form("cvt.rn.FLOAT.INT8", "d, a"),
    Form("cvt.{rni,rzi,rmi,rpi}.INT.FLOAT", "d, a", "refused where the result does not fit"),
    Form("cvt.{rni,rzi,rmi,rpi}.{f32.f32,f64.f64}", "d, a"),
    Form("cvt.rn.{f32.f64,f16.f32,f16.f64}", "d, a"),
    Form("cvt.{f64.f32,f32.f16,f64.f16}", "d, a"),
    Form("bra[.uni]", "label", "`.uni` refused where a warp parts"),
    Form("{ret,exit}", ""),
    Form("{bar.sync,barrier.sync,barrier.sync.aligned}", "0", "a constant, and no count of threads"),
    Form("bar.warp.sync", "mask", "holds threads together; between their accesses the check for races sees no barrier"),
    Form("shfl.sync.{up,down,bfly,idx}.b32", "d[|p], a, b, c, mask"),
    Form("vote.sync.{all,any,uni}.pred", "p, a, mask"),
    Form("vote.sync.ballot.b32", "d, a, mask"),
    Form("match.any.sync.{b32,b64}", "d, a, mask"),
    Form("match.all.sync.{b32,b64}", "d[|p], a, mask"),
    Form("redux.sync.{add,min,max}.WORD", "d, a, mask"),
    Form("redux.sync.{and,or,xor}.b32", "d, a, mask"),
)


def expand(name: str) -> list[str]:
    """All the names that a form has."""
    name = re.sub(r"\[([^\]]*)\]", r"{\1,}", name)
    for key, members in SETS.items():
        name = re.sub(rf"(?<![A-Z]){key}(?![A-Z0-9])", "{" + ",".join(members) + "}", name)
    return _braces(name)


def _braces(text: str) -> list[str]:
    """What a shell makes of braces, which may lie in others."""
    start = text.find("{")
    if start < 0:
        return [text]
    depth, parts, begin = 0, [], start + 1
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if (text[i] == "," and depth == 1) or not depth:
            parts.append(text[begin:i])
            begin = i + 1
        if not depth:
            break
    rest = _braces(text[begin:])
    return [text[:start] + middle + end for part, end in itertools.product(parts, rest) for middle in _braces(part)]


KNOWN = {name: form for form in FORMS for name in expand(form.name)}
FLOATING = {"add", "sub", "mul", "div", "sqrt", "rcp", "rsqrt", "fma", "mad"}


def require_known(instruction: Instruction, contraction: bool) -> None:
    """Refuse what is not in the table, with the reason.

    Raises
    ------
    Fault
        The name is in no row, or the number of operands is another.
    """
    form = KNOWN.get(instruction.name)
    if form is None or (instruction.opcode == "fma" and not contraction):
        raise Fault(_why_not(instruction))
    count = len([part for part in form.operands.split(",") if part])
    if len(instruction.operands) != count:
        raise Fault(f"{instruction.name} has the operands {form.operands or 'none'}")


def _why_not(instruction: Instruction) -> str:
    modifiers, floats = set(instruction.modifiers), {"f16", "f16x2", "bf16", "f32", "f64"} & {*instruction.modifiers}
    if {"ftz", "sat"} & modifiers and floats:
        return f"{instruction.name} replaces numbers (.ftz, .sat)"
    if {"approx", "full"} & modifiers:
        return f"{instruction.name} is approximate: not rounded to nearest, and other GPUs have other bits"
    if {"rz", "rm", "rp"} & modifiers and floats:
        return f"{instruction.name} is not rounded to nearest"
    if instruction.opcode in ("fma", "mad") and floats:
        return f"{instruction.name} is contracted, product and sum rounded once; contraction=True permits fma.rn"
    if instruction.opcode in FLOATING and {"f32", "f64"} & modifiers and "rn" not in modifiers:
        return f"{instruction.name} has no .rn: not rounded to nearest, or free to be contracted"
    return f"unknown instruction {instruction.name}: docs/howto/ptx.md has those that are known"
