"""Sessions for `nox`: what a change must pass, each in an environment of its own. `nox -l` lists them.

A session runs under the Python that runs nox, or under one that is named: `nox -s tests -P 3.13`.
"""

import nox

nox.options.sessions = ["lint", "types", "tests"]
IN_PARALLEL = ("-n", "auto", "--dist", "loadfile")


@nox.session
def tests(session: nox.Session) -> None:
    """Quick tests. Those that need CUDA's compiler are skipped: see the session `cuda`."""
    session.install("-e", ".[test]")
    session.run("pytest", *IN_PARALLEL, *session.posargs)


@nox.session
def cuda(session: nox.Session) -> None:
    """Quick tests of CUDA's kernels, which need their compiler but no GPU."""
    session.install("-e", ".[test-cuda]")
    session.run("pytest", *IN_PARALLEL, "-m", "cuda and not slow", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Tests that repeat a proof for more variants, those of CUDA's kernels with them."""
    session.install("-e", ".[test-cuda]")
    session.run("pytest", *IN_PARALLEL, "-m", "slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which way imports go."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the library, and of calls as users write them."""
    session.install("-e", ".[lint]")
    session.run("mypy")
    session.run("pytest", "-q", "tests/test_typed_calls.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Examples in docstrings and documents."""
    session.install("-e", ".[test]")
    documents = ("fastadagrad", "README.md", "docs")
    session.run("pytest", "-q", "--doctest-modules", "--doctest-glob=*.md", *documents, *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist in dist/, checked; the wheel is installed and used."""
    session.install("build", "check-wheel-contents", "twine")
    session.run("python", ".ci/build_release", "dist")
