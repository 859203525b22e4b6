"""The interpreter of PTX: each kind of memory, and generic addresses of them."""

import numpy as np
import ptx
import pytest
from ptx_texts import SHARED, kernel, run

OWN = ".local .align 8 .b8 own[16];"


@pytest.mark.parametrize("access", ["local", "generic"])
def test_a_thread_has_memory_of_its_own(access):
    place = "mov.u64 %rd4, own;" + ("cvta.local.u64 %rd4, %rd4;" if access == "generic" else "")
    space = ".local" if access == "local" else ""
    body = f"""
        {place}
        st{space}.u32 [%rd4+8], %r1;
        ld{space}.u32 %r2, [%rd4+8];
        st.global.u32 [%rd3], %r2;
    """
    array = np.zeros(64, np.int32)
    run(body, array, threads=64, shared=OWN)
    assert array.tolist() == list(range(64))


def test_generic_addresses_of_all_spaces_at_once():
    """A third of the threads writes to each space by the same instruction."""
    body = """
        mov.u64 %rd4, buffer;
        cvta.shared.u64 %rd4, %rd4;
        add.s64 %rd4, %rd4, %rd2;
        mov.u64 %rd5, own;
        cvta.local.u64 %rd5, %rd5;
        rem.u32 %r2, %r1, 3;
        setp.eq.u32 %p1, %r2, 0;
        setp.eq.u32 %p2, %r2, 1;
        selp.b64 %rd6, %rd4, %rd3, %p1;
        selp.b64 %rd6, %rd5, %rd6, %p2;
        st.u32 [%rd6], %r1;
        ld.u32 %r3, [%rd6];
        st.global.u32 [%rd3], %r3;
    """
    array = np.zeros(32, np.int32)
    run(body, array, shared=SHARED + OWN)
    assert array.tolist() == list(range(32))


def test_back_from_a_generic_address():
    body = """
        mov.u64 %rd4, buffer;
        cvta.shared.u64 %rd5, %rd4;
        cvta.to.shared.u64 %rd6, %rd5;
        sub.s64 %rd7, %rd6, %rd4;
        st.global.u32 [%rd3], 7;
        cvta.to.global.u64 %rd8, %rd3;
        st.global.u64 [%rd8], %rd7;
    """
    array = np.ones(2, np.int32)
    run(body, array, threads=1, shared=SHARED)
    assert array.tolist() == [0, 0]


def test_shared_memory_of_the_launch():
    """It begins behind the kernel's own, and is of the size that the launch gives."""
    text = kernel("st.shared.u32 [more+12], %r1;\nld.shared.u32 %r2, [more+12];\nst.global.u32 [%rd1], %r2;")
    text = text.replace(".visible", ".shared .align 4 .b8 own[20];\n.extern .shared .align 16 .b8 more[];\n.visible")
    array = np.ones(1, np.int32)
    ptx.launch(text, 1, 1, [array.ctypes.data], [array], shared=16)
    assert array == 0
    assert ptx.parse(text).shared == {"own": 0, "more": 32}
    with pytest.raises(ptx.Fault, match="outside of shared memory, at 0x2c of 44 bytes"):
        ptx.launch(text, 1, 1, [array.ctypes.data], [array], shared=12)


def test_read_only_loads():
    array = np.array([3, 0, 0, 0], np.float32)
    run("ld.global.nc.v2.f32 {%f1, %f2}, [%rd1];\nst.global.f32 [%rd1+12], %f1;", array, threads=1)
    assert array.tolist() == [3, 0, 0, 3]


def test_halves_of_words():
    array = np.array([0x3C00_C000, 0, 0], np.uint32)
    body = """
        ld.global.b16 %h1, [%rd1+2];
        cvt.f32.f16 %f1, %h1;
        st.global.f32 [%rd1+4], %f1;
        mov.f32 %f2, 0f3F801000;
        cvt.rn.f16.f32 %h2, %f2;
        st.global.b16 [%rd1+8], %h2;
    """
    run(body, array, threads=1)
    assert array[1:2].view(np.float32) == 1
    assert array[2] == 0x3C00  # between 1 and the next one, so to even


@pytest.mark.parametrize("offset", [0, 4, 12])
@pytest.mark.parametrize("races", [True, False])
def test_arrays_that_begin_anywhere(offset, races):
    room = np.zeros(256, np.uint8)
    array = room[-room.ctypes.data % 16 + offset :][:128].view(np.float32)
    array[:] = np.arange(32)
    text = kernel("ld.global.f32 %f1, [%rd3];\nadd.rn.f32 %f1, %f1, %f1;\nst.global.f32 [%rd3], %f1;")
    ptx.launch(text, 1, 32, [array.ctypes.data], [array], races=races)
    assert array.tolist() == [2 * i for i in range(32)]


def test_arrays_that_overlap_are_one():
    array = np.arange(8, dtype=np.float32)
    text = kernel("ld.global.f32 %f1, [%rd3];\nst.global.f32 [%rd3+16], %f1;")
    ptx.launch(text, 1, 4, [array.ctypes.data], [array[:5], array[3:], array[:0]])
    assert array.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_bytes_after_words_are_still_told_apart():
    """A log that has begun with words must know bytes when the first byte is written."""
    body = """
        ld.global.u32 %r2, [%rd3];
        add.s64 %rd4, %rd3, 1;
        st.global.u8 [%rd3], %r1;
        st.global.u8 [%rd4], %r1;
    """
    array = np.zeros(32, np.int32)
    run(body, array)
    assert array.tolist() == [i * 257 for i in range(32)]
