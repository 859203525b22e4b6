"""PTX texts of tests: kernels of one array, `a`, around what is tested."""

import ptx

HEAD = ".version 9.0\n.target sm_90\n.address_size 64\n"
REGISTERS = """
    .reg .pred %p<9>;
    .reg .f32 %f<9>;
    .reg .f64 %fd<9>;
    .reg .b32 %r<9>;
    .reg .b64 %rd<9>;
    .reg .b16 %h<9>;
"""
BEGIN = """
    ld.param.u64 %rd1, [a];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
"""


def kernel(body, begin=BEGIN, shared=""):
    return f"{HEAD}.visible .entry test(\n.param .u64 a\n)\n{{{REGISTERS}{shared}{begin}{body}\n    ret;\n}}"


def run(body, array, threads=32, blocks=1, seed=None, **how):
    return ptx.launch(kernel(body, **how), blocks, threads, [array.ctypes.data], [array], seed=seed)


REVERSE = """
    mov.u64 %rd4, buffer;
    add.s64 %rd5, %rd4, %rd2;
    ld.global.f32 %f1, [%rd3];
    st.shared.f32 [%rd5], %f1;
    {barrier}
    sub.s64 %rd6, 252, %rd2;
    add.s64 %rd6, %rd6, %rd4;
    ld.shared.f32 %f2, [%rd6];
    st.global.f32 [%rd3], %f2;
"""
SHARED = ".shared .align 4 .b8 buffer[256];"
