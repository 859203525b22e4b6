"""Sessions for `nox`, each of which is a part of what a change must pass. `nox -l` lists them.

A session runs under the Python that runs nox, or under one that is named, as in `nox -s tests --force-python 3.13`.
"""

import nox

nox.options.sessions = ["lint", "types", "tests"]
IN_PARALLEL = ("-n", "auto", "--dist", "loadfile")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the quick tests; those that need CUDA's driver or assembler are skipped, and run in the session `cuda`."""
    session.install("-e", ".[test]")
    session.run("pytest", *IN_PARALLEL, *session.posargs)


@nox.session
def cuda(session: nox.Session) -> None:
    """Run the quick tests of CUDA's driver and of the registers of kernels, which need no GPU."""
    session.install("-e", ".[test-cuda]")
    session.run("pytest", *IN_PARALLEL, "-m", "cuda and not slow", *session.posargs)


@nox.session
def cuda_jit(session: nox.Session) -> None:
    """Run the tests of updates in CUDA kernels of a user's own, by the compilers of these, which need no GPU."""
    session.install("-e", ".[test]", "numba-cuda[cu13]", "numba-cuda-mlir[cu13]", "numpy<2.5")
    session.run("python", "-c", "import numba_cuda, numba_cuda_mlir")  # without which the tests are skipped
    session.run("pytest", "tests/optimizer/test_cuda_update.py", "-m", "slow or not slow", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the slow tests, which repeat a proof for more variants, those of CUDA's kernels among them."""
    session.install("-e", ".[test-cuda]")
    session.run("pytest", *IN_PARALLEL, "-m", "slow", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Print the branches that the quick tests take, of all code but the kernels, which are compiled."""
    session.install("-e", ".[test]", "pytest-cov")
    session.run("python", "tests/tools/branch_coverage.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, and which modules import which."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the library, and of calls as users write them."""
    session.install("-e", ".[lint]")
    session.run("mypy")
    session.run("pytest", "-q", "tests/test_typed_calls.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples in docstrings and documents."""
    session.install("-e", ".[test]")
    documents = ("fastadagrad", "README.md", "docs")
    session.run("pytest", "-q", "--doctest-modules", "--doctest-glob=*.md", *documents, *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build wheel and sdist into dist/, check them, and use the wheel in a clean environment."""
    session.install("build", "check-wheel-contents", "twine")
    session.run("python", ".ci/build_release", "dist")
