"""The compiler options, as far as they can go wrong."""

import os
import subprocess
import sys

CLOSURES = """
import sys
from fastadagrad.kernels.jit import compiled, inlined

def make_adder(n):
    @inlined
    def add(x):  # too long to be inlined, so that the linker has to find it
        LINES
        return x + n

    @compiled
    def add_thrice(x):
        return add(x) + add(x + 1) + add(x + 2)

    return add_thrice

print(*(make_adder(int(n))(100) for n in sys.argv[1:]))
""".replace("LINES", "\n        ".join(["x = (x ^ (x << 1)) // 3 - x % 7 if x > 1000 else x"] * 60))


def test_kernels_cached_by_different_processes_are_not_mixed_up(tmp_path):
    script = tmp_path / "closures.py"
    script.write_text(CLOSURES)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run(*arguments):
        command = [sys.executable, script, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert run("1") == ["306"]
    assert run("2") == ["309"]
    assert run("1", "2") == ["306", "309"]
