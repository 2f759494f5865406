"""The program limin as a person starts it, and servers that it asks."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from loopback import echo, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from loopback import Loopback, Request

PROGRAM = [sys.executable, "-m", "limin"]

_SECONDS = 180  # Of a program that hangs; a busy machine is slow.


@contextmanager
def serving(
    respond: Callable[[Request], Awaitable[bytes | None]] = echo,
) -> Iterator[Loopback]:
    """Run a server in a thread of its own, which answers by *respond*."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(respond)) as server,
    ):
        yield server


def environment(base_url: str, **more: str) -> dict[str, str]:
    """Return the environment of a program that asks the server at *base_url*."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {key: os.environ[key] for key in os.environ if key.startswith("COV")}
    return {**kept, "OPENAI_BASE_URL": base_url, "OMP_THREAD_LIMIT": "1", **more}


def run_program(
    *arguments: str, base_url: str, folder: Path, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in *folder* until it ends."""
    return subprocess.run(  # noqa: S603 (our own program)
        [*PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(base_url, **more),
        timeout=_SECONDS,
    )


def run_shell(
    script: str, *, base_url: str, folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run *script*, in which `limin` is the program, by bash in *folder*."""
    function = f'limin() {{ "{sys.executable}" -m limin "$@"; }}\n'
    return subprocess.run(  # noqa: S603 (our own script)
        ["bash", "-c", function + script],  # noqa: S607 (whichever there is)
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(base_url, **more),
        timeout=_SECONDS,
    )


@contextmanager
def started(
    *arguments: str, base_url: str, folder: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program in *folder*, and end it at the end."""
    environ = environment(base_url) | options.pop("environ", {})
    process = subprocess.Popen(  # noqa: S603 (our own program)
        [*PROGRAM, *arguments], cwd=folder, env=environ, **options
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
