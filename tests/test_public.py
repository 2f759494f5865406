"""The names of the package, and its version."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import pytest

import limin


def refuse(name: str) -> NoReturn:
    """Fail as the reader of metadata does if a package was not installed."""
    raise metadata.PackageNotFoundError(name)


@pytest.fixture
def _checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the package stand in a folder without metadata, as in a checkout."""
    monkeypatch.setattr(limin, "__file__", str(tmp_path / "limin" / "__init__.py"))


@pytest.mark.usefixtures("_checkout")
def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is that of the installed package."""
    monkeypatch.setattr(metadata, "version", {"limin": "1.2.3"}.__getitem__)
    assert limin.__version__ == "1.2.3"


@pytest.mark.usefixtures("_checkout")
def test_version_of_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that was not installed has a version that says so."""
    monkeypatch.setattr(metadata, "version", refuse)
    assert limin.__version__ == "0+unknown"


def test_version_is_read_when_asked_for() -> None:
    """`import limin` does not load the reader of package metadata."""
    code = "import sys, limin; print('importlib.metadata' in sys.modules)"
    loaded = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\n"


def test_name_that_does_not_exist() -> None:
    """A misspelt name is an AttributeError, as in every module."""
    with pytest.raises(AttributeError, match="module 'limin' has no attribute 'Klient'"):
        _ = limin.Klient  # type: ignore[attr-defined]  # the mistake itself


def test_what_is_loaded_when_asked_for() -> None:
    """Labels are read by few programs, so only these load what reads them."""
    code = (
        "import sys, limin; print('limin.values.labels.probs' in sys.modules); "
        "limin.label_probs; print('limin.values.labels.probs' in sys.modules)"
    )
    loaded = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\nTrue\n"
    assert limin.label_probs([], ["yes"]).unlisted == 1.0
