"""The program limin as a person starts it, and servers that it asks."""

from __future__ import annotations

import io
import json
import os
import pty
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

# Run a program that Ctrl-C ends; a background job's child would ignore it.
_WITH_CTRL_C = (
    "import fcntl, os, signal, sys, termios\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
# The same, on the terminal that is its stdin.
_ON_TERMINAL = _WITH_CTRL_C.replace(
    "os.exec", "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.exec"
)

_SECONDS = 180  # Of a program that hangs; a busy machine is slow.


class Stdin:
    """A stdin with bytes in it."""

    def __init__(self, data: bytes) -> None:
        """Hold *data*."""
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        """Return that it is no terminal."""
        return False


class Terminal(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


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


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an output, in the order of their input."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: int(line["limin"]["line"]))


def bodies(server: Loopback) -> list[dict[str, Any]]:
    """Return the bodies of the requests that came."""
    return [json.loads(request.body) for request in server.requests]


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
    script: str, *, base_url: str, folder: Path, seconds: float = _SECONDS, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run *script*, in which `limin` is the program, by bash in *folder*.

    After *seconds* it hangs, and is killed.
    """
    function = f'limin() {{ "{sys.executable}" -m limin "$@"; }}\n'
    return subprocess.run(  # noqa: S603 (our own script)
        ["bash", "-c", function + script],  # noqa: S607 (whichever there is)
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(base_url, **more),
        timeout=seconds,
    )


@contextmanager
def started(
    *arguments: str, base_url: str, folder: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program in *folder*, and end it at the end."""
    environ = environment(base_url) | options.pop("environ", {})
    process = subprocess.Popen(  # noqa: S603 (our own program)
        [sys.executable, "-c", _WITH_CTRL_C, *PROGRAM, *arguments],
        cwd=folder,
        env=environ,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def on_its_terminal(
    *arguments: str, **place: Any
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the program on a terminal of its own; yield it, and our end of the terminal."""
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-c", _ON_TERMINAL, *PROGRAM, *arguments],
            cwd=place["folder"],
            env=environment(place["base_url"], TERM="xterm", NO_COLOR="1"),
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        with process:
            try:
                yield process, ours
            finally:
                process.kill()
    finally:
        os.close(ours)
