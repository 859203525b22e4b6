"""Loads, stores, parameters and addresses: the bytes that they move, and what registers hold of these."""

import random
from functools import partial

import numpy as np
import ptx

from .exact import number_of, operands, whole, width
from .running import kernel, launch

DATA = ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64")
SPACES = ("global", "shared", "local")
STRONG = ("volatile", "relaxed.gpu", "relaxed.sys")
THREADS, ROOM = 64, 16  # bytes of a thread, as many as the widest access has
OWN = {
    "shared": f".shared .align 16 .b8 own[{THREADS * ROOM}];",
    "local": f".local .align 16 .b8 own[{ROOM}];",
    "global": "",
}


def cases():
    yield from accesses()
    for kind in DATA:
        yield f"ld.param.{kind}", partial(require_parameter, kind)
    for space in SPACES:
        yield f"cvta.{space}.u64", partial(require_generic_address, space)
        yield f"cvta.to.{space}.u64", partial(require_generic_address, space)
    for kind in ("b64", "u64", "s64", "b32", "u32", "s32"):
        yield f"mov.{kind}", partial(require_address_of_variable, kind)


def too_wide():
    """Names that the table has and that are too wide."""
    every = (f"{opcode}{space}.v4" for opcode in ("ld", "st") for space in ("", ".global", ".shared", ".local"))
    return [f"{start}.{kind}" for start in (*every, "ld.global.nc.v4") for kind in DATA if width(kind) == 64]


def accesses():
    """Without a space an address is generic: each of the spaces in which such an access may be is tried."""
    for kind in DATA:
        for count in (1, 2, 4):
            if count * width(kind) <= 8 * ROOM:
                vector = f".v{count}" if count > 1 else ""
                for space in SPACES:
                    for written in (f".{space}", ""):
                        end = f"{written}{vector}.{kind}"
                        yield f"ld{end}", partial(require_loaded, f"ld{end}", space, kind, count)
                        yield f"st{end}", partial(require_stored, f"st{end}", space, kind, count)
                end = f".global{vector}.{kind}"
                yield f"ld{end}", partial(require_loaded, f"ld{end}", "global", kind, count, early=1)
                yield f"st{end}", partial(require_stored, f"st{end}", "global", kind, count, early=1)
                end = f".global.nc{vector}.{kind}"
                yield f"ld{end}", partial(require_loaded, f"ld{end}", "global", kind, count)
        for how in STRONG:
            for space in ("global", "shared"):
                for written in (f".{space}", ""):
                    end = f".{how}{written}.{kind}"
                    yield f"ld{end}", partial(require_loaded, f"ld{end}", space, kind, 1)
                    yield f"st{end}", partial(require_stored, f"st{end}", space, kind, 1)


def registers_for(kind):
    """Bits of registers that may hold such a number: those of integers may be wider."""
    return {max(16, width(kind)), width(kind) if kind[0] == "f" else 64}


def drawn(bits, count):
    """Numbers for each thread, as they lie in memory: the first are those at the edges of the type."""
    draw = random.Random(bits)
    values = operands(f"b{bits}")[: THREADS * count]
    values += [draw.getrandbits(bits) for _ in range(THREADS * count - len(values))]
    draw.shuffle(values)
    return values


def array_of(values, bits):
    return np.frombuffer(b"".join(value.to_bytes(bits // 8, "little") for value in values), np.uint8).copy()


def numbers_in(array, bits):
    """The numbers that these bytes are, the first byte of each being the lowest."""
    raw, size = array.tobytes(), bits // 8
    return [int.from_bytes(raw[i : i + size], "little") for i in range(0, len(raw), size)]


def direct_and_generic(space, array):
    """What makes %direct the address of a thread's own bytes in a space, and %generic that which needs no space."""
    address = {
        "global": f"mov.b64 %direct, %at_{array};",
        "shared": f"mov.u64 %direct, own;\nmad.wide.u32 %direct, %index, {ROOM}, %direct;",
        "local": "mov.u64 %direct, own;",
    }
    return f"{address[space]}\ncvta.{space}.u64 %generic, %direct;\n"


def moved(bits, to, source, count):
    """Single numbers copied from one place to another, which are written as in `global.b32 [%a`."""
    return "".join(
        f"ld.{source[0]}.b{bits} %moved, [{source[1]}+{at}];\nst.{to[0]}.b{bits} [{to[1]}+{at}], %moved;\n"
        for at in range(0, count * bits // 8, bits // 8)
    )


def used(name):
    """The register of an address that goes with the name of an access."""
    return "%direct" if {*name.split(".")} & {*SPACES} else "%generic"


def aligned(array, early):
    """A copy at a multiple of 16, and the memory that a kernel may use, which begins so many bytes before it."""
    room = np.zeros(array.size + 48, np.uint8)
    start = 16 - room.ctypes.data % 16 + 16
    room[start:][: array.size] = array
    return room[start:][: array.size], room[start - early : start + array.size]


def moved_by(body, given, size, registers, space, early=0):
    """What a kernel makes of an array of bytes: as many as the size says, for each thread."""
    arrays = {"given": given.size // THREADS, "found": size}
    code = kernel(arrays, registers | {"direct": "b64", "generic": "b64"}, body, OWN[space])
    (given, before), (found, behind) = (aligned(each, early) for each in (given, ptx.junk(THREADS * size, np.uint8, 1)))
    ptx.launch(code, 1, THREADS, [given.ctypes.data, found.ctypes.data, THREADS], [before, behind], seed=0)
    return found


def require_loaded(name, space, kind, count, early=0):
    """Each register has the number of its place, extended by its sign where the register is wider."""
    bits = width(kind)
    values = drawn(bits, count)
    for register in registers_for(kind):
        names = [f"%to{i}" for i in range(count)]
        registers = {each[1:]: f"b{register}" for each in names} | {"moved": f"b{max(16, bits)}"}
        body = direct_and_generic(space, "given")
        if space != "global":
            body += moved(bits, (space, "%direct"), ("global", "%at_given"), count)
        body += f"sub.s64 {used(name)}, {used(name)}, 8;\n{name} {vector(names)}, [{used(name)}+8];\n"
        body += "".join(f"st.global.b{register} [%at_found+{i * register // 8}], {names[i]};\n" for i in range(count))
        found = moved_by(body, array_of(values, bits), count * register // 8, registers, space, early)
        expected = [extended(value, kind, register) for value in values]
        require_equal(numbers_in(found, register), expected, name, space)


def require_stored(name, space, kind, count, early=0):
    """Memory has the lowest bits of each register."""
    bits = width(kind)
    for register in registers_for(kind):
        values = drawn(register, count)
        names = [f"%to{i}" for i in range(count)]
        registers = {each[1:]: f"b{register}" for each in names} | {"moved": f"b{max(16, bits)}"}
        body = direct_and_generic(space, "found")
        body += "".join(f"ld.global.b{register} {names[i]}, [%at_given+{i * register // 8}];\n" for i in range(count))
        body += f"add.s64 {used(name)}, {used(name)}, 8;\n{name} [{used(name)}+-8], {vector(names)};\n"
        if space != "global":
            body += direct_and_generic(space, "found")
            body += moved(bits, ("global", "%at_found"), (space, "%direct"), count)
        found = moved_by(body, array_of(values, register), count * bits // 8, registers, space, early)
        require_equal(numbers_in(found, bits), [value % 2**bits for value in values], name, space)


def vector(names):
    return f"{{{', '.join(names)}}}" if len(names) > 1 else names[0]


def extended(bits, kind, register):
    return whole(number_of(bits, kind), f"b{register}") if kind[0] == "s" else bits


def require_equal(found, expected, name, space):
    wrong = [i for i, (one, right) in enumerate(zip(found, expected, strict=True)) if one != right]
    if wrong:
        first = wrong[0]
        raise AssertionError(f"{name} in {space}: number {first} is {found[first]:#x}, not {expected[first]:#x}")


# Parameters and addresses

PARAMETER = """
.version 9.0
.target sm_90
.address_size 64
.visible .entry values(.param .u64 found, .param .{kind} value, .param .b64 wider)
{{
    .reg .b64 %found;
    .reg .b{register} %value, %low;
    ld.param.u64 %found, [found];
    ld.param.{kind} %value, [value];
    ld.param.{kind} %low, [wider];
    st.global.b{register} [%found], %value;
    st.global.b{register} [%found+8], %low;
    ret;
}}
"""


def require_parameter(kind):
    """A parameter of its type, and the lowest bytes of a wider one."""
    for register in registers_for(kind):
        values = ptx.load(PARAMETER.format(kind=kind, register=register))
        for bits in operands(kind, drawn=2):
            number = number_of(bits, kind)
            if number != number:
                continue  # whose bits Python's floats do not keep
            found = np.zeros(2, np.uint64)
            values(
                1,
                1,
                found,
                float(number) if kind[0] == "f" else number,
                0xF00D << 48 | bits if width(kind) < 64 else bits,
            )
            require_equal(found.tolist(), [extended(bits, kind, register)] * 2, f"ld.param.{kind}", "parameters")


def require_generic_address(space):
    """By it a thread reads what is at its own place of the space, and there is a way back."""
    body = f"""
        {direct_and_generic(space, "found")}
        st.{space}.u32 [%direct], %index;
        ld.u32 %moved, [%generic];
        add.u32 %moved, %moved, 1;
        st.u32 [%generic], %moved;
        cvta.to.{space}.u64 %back, %generic;
        ld.{space}.u32 %moved, [%back];
        sub.s64 %back, %back, %direct;
        st.global.u64 [%at_found+8], %back;
        st.global.u32 [%at_found], %moved;
        st.global.u32 [%at_found+4], 0;
    """
    found = moved_by(body, np.zeros(THREADS, np.uint8), 16, {"moved": "b32", "back": "b64"}, space)
    expected = [number for i in range(THREADS) for number in (i + 1, 0)]
    require_equal(numbers_in(found, 64), expected, "cvta", space)


def require_address_of_variable(kind):
    body = f"""
        mov.{kind} %place, second;
        st.shared.u32 [first+8], 3;
        st.shared.u32 [%place], 4;
        st.shared.u32 [second+4], 5;
        ld.shared.u32 %moved, [%place+4];
        ld.shared.u32 %other, [second];
        mad.lo.u32 %moved, %moved, 10, %other;
        st.global.u32 [%at_found], %moved;
    """
    variables = ".shared .align 4 .b8 first[12];\n.shared .align 4 .b8 second[8];"
    found = np.zeros(1, np.uint32)
    registers = {"place": f"b{width(kind)}", "moved": "b32", "other": "b32"}
    launch(kernel({"found": 4}, registers, body, variables), [found], 1)
    require_equal(found.tolist(), [54], f"mov.{kind}", "shared")
