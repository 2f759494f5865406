"""A real Chromium, for the tests of pages and fragments.

`nox -s browser` runs them. Where playwright is not installed, as in the session of
the other tests, nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

HAS_DRIVER = importlib.util.find_spec("playwright") is not None
collect_ignore_glob = [] if HAS_DRIVER else ["test_*.py"]

# No hardware of the machine and no network; Chromium refuses a sandbox for root.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options for the path of Chromium and the directory of screenshots."""
    parser.addoption("--chromium", default=shutil.which("chromium"))
    parser.addoption("--screenshots", type=Path, default=None)


@pytest.fixture(scope="session")
def screenshots(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the directory of the screenshots and measurements."""
    directory: Path | None = request.config.getoption("--screenshots")
    return directory or tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="session")
def chromium(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Yield a headless Chromium with a new profile."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (may be missing)

    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=request.config.getoption("--chromium"),
            args=ARGUMENTS,
        )
        yield context
        context.close()


class Show:
    """Opens HTML in a window, and notes its console messages, errors and requests."""

    def __init__(self, context: BrowserContext, directory: Path) -> None:
        self._context = context
        self._directory = directory
        self.pages: list[Page] = []
        self.problems: list[str] = []

    def __call__(
        self, html: str, *, scheme: Any = "light", width: int = 900, height: int = 700
    ) -> Page:
        """Return a window that shows *html*."""
        path = self._directory / f"{len(self.pages)}.html"
        path.write_text(html, encoding="utf-8")
        page = self._context.new_page()
        self.pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda asked: self.problems.append(asked.url))
        page.goto(path.as_uri())
        assert self.problems.pop(0) == path.as_uri()
        return page


@pytest.fixture
def show(chromium: BrowserContext, tmp_path: Path) -> Iterator[Show]:
    """Yield an opener of windows; their messages, errors and requests are failures."""
    windows = Show(chromium, tmp_path)
    yield windows
    for page in windows.pages:
        page.close()
    assert windows.problems == []
