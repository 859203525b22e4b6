"""What CUDA's driver answers: results, and errors in its own words."""

from __future__ import annotations

from typing import Any

from cuda.bindings import driver as cuda

SUCCESS = cuda.CUresult.CUDA_SUCCESS

# After these, every call fails that needs the context: its memory is lost.
_ENDS_THE_CONTEXT = {
    f"CUDA_ERROR_{name}"
    for name in (
        "ASSERT",
        "CONTEXT_IS_DESTROYED",
        "DEINITIALIZED",
        "ECC_UNCORRECTABLE",
        "HARDWARE_STACK_ERROR",
        "ILLEGAL_ADDRESS",
        "ILLEGAL_INSTRUCTION",
        "INVALID_ADDRESS_SPACE",
        "INVALID_PC",
        "LAUNCH_FAILED",
        "LAUNCH_TIMEOUT",
        "MISALIGNED_ADDRESS",
        "NVLINK_UNCORRECTABLE",
    )
}
_ADVICE = {
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": "the kernels need a driver of version 525 or newer",
} | dict.fromkeys(
    _ENDS_THE_CONTEXT,
    "the GPU's context, which all libraries of this process share, is lost, with all arrays in its memory, also if the "
    "fault was another library's: begin a new process, and go on from the last checkpoint",
)


def result_of(answer: tuple[Any, ...]) -> Any:
    """The result of a function of CUDA's driver; RuntimeError if the function has failed."""
    if answer[0] is not SUCCESS and answer[0] != SUCCESS:
        raise failure(answer[0])
    return answer[1] if len(answer) > 1 else None


def failure(status: Any, log: str = "") -> RuntimeError:
    """The error to be raised for what the driver answers; `log` is what its compiler has said."""
    words = _words_of(status)
    parts = [f"CUDA's driver answers {status.name}" + (f" ({words})" if words else ""), _ADVICE.get(status.name), log]
    return RuntimeError("; ".join(part for part in parts if part))


def _words_of(status: Any) -> str:
    answered, words = cuda.cuGetErrorString(status)
    return words.decode(errors="replace") if answered == SUCCESS and words else ""
