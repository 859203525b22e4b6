"""Sub-interpreters of Python, in which NumPy and Numba do not work."""

from __future__ import annotations

import _thread


def in_a_sub_interpreter() -> bool:
    """Whether this is another interpreter than the process's first; False where Python cannot tell."""
    asked = getattr(_thread, "_is_main_interpreter", None)  # from Python 3.12 on
    if asked is not None:
        return not asked()
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        return False
    return bool(interpreters.get_current() != interpreters.get_main())


def refuse_sub_interpreters() -> None:
    """Raise ImportError in a sub-interpreter, before NumPy fails to be imported there, or Numba crashes."""
    if in_a_sub_interpreter():
        raise ImportError(
            "fastadagrad cannot be imported in a sub-interpreter, as NumPy and Numba, which it computes with, do not "
            "support them: import it in the main interpreter and use threads (steps run without Python's lock) or "
            "processes (multiprocessing); under mod_wsgi, set WSGIApplicationGroup %{GLOBAL}"
        )
