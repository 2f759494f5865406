"""The process of `limin.local`: llama.cpp's server, which never outlives its parent.

Its parent runs this file by its path, so it imports nothing of limin. One line of
options comes in by standard input, the server's address goes out by standard output,
and the end of the input is the end of the parent.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

_STANDARD_INPUT = 0
_SECONDS_BETWEEN_LOOKS = 0.5


def main() -> None:
    """Read the options, and serve until the parent ends."""
    line = sys.stdin.buffer.readline()
    if not line:
        return
    # Loading the libraries and the model can take long, so the watch begins before.
    watch = threading.Thread(
        target=end_with_parent, args=(_STANDARD_INPUT, os.getppid()), daemon=True
    )
    kill_at_end_of_input(_STANDARD_INPUT)
    watch.start()
    # The server writes its log to stdout, which is only for the address.
    with os.fdopen(os.dup(1), "w") as announcement:
        os.dup2(2, 1)
        server = serve(json.loads(line), announcement)
    watch.join()
    del server


def kill_at_end_of_input(descriptor: int) -> None:
    """Let the kernel kill this process when the other end of *descriptor* closes.

    xllamacpp holds Python's lock while it loads a model, so a thread cannot end the
    process then. Only Linux lets a program choose the signal (fcntl(2), F_SETSIG).
    """
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 (Windows has none)

    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if _has_ended(descriptor, 0):  # It ended before the kernel watched.
        os._exit(0)


def end_with_parent(descriptor: int, parent: int) -> None:
    """End this process when *descriptor* is closed, or *parent* is no longer its parent.

    A process that the parent forked may hold the other end open longer than the parent.
    """
    if sys.platform == "win32":
        os.read(descriptor, 1)  # There, select is only for sockets.
    else:
        # A read that waits would keep the kernel from sending the signal: on a socket,
        # a reader is woken instead (sock_wake_async, SOCKWQ_ASYNC_WAITDATA).
        while not _has_ended(descriptor, _SECONDS_BETWEEN_LOOKS):
            if os.getppid() != parent:
                break
    os._exit(0)


def _has_ended(descriptor: int, seconds: float) -> bool:
    """Wait *seconds* at most, and return whether the input has ended; it has no more."""
    readable, _, _ = select.select([descriptor], [], [], seconds)
    return bool(readable)


def serve(options: dict[str, Any], announcement: TextIO) -> object:
    """Start the server, write its address to *announcement*, and return the server.

    Args:
        options: `path` of the model, `slots`, `n_ctx` of each slot, `n_threads` or
            None, and the `prefix` of every path; and perhaps the `port`, by default a
            free one.
        announcement: Gets one line as soon as the server answers requests.
    """
    xllamacpp = importlib.import_module("xllamacpp")  # Only the extra has it.
    params = xllamacpp.CommonParams()
    params.model.path = options["path"]
    params.model_alias = {Path(options["path"]).stem}
    params.n_parallel = options["slots"]
    params.n_ctx = options["n_ctx"] * options["slots"]
    if options["n_threads"] is not None:
        params.cpuparams.n_threads = options["n_threads"]
        params.cpuparams_batch.n_threads = options["n_threads"]
    params.api_prefix = options["prefix"]
    params.hostnames = ["127.0.0.1"]
    params.port = options.get("port", 0)
    params.ui = False
    # No web page may read an answer. llama.cpp answers OPTIONS before it looks at the
    # path, with nothing but this.
    params.cors_origins, params.cors_credentials = "", False
    server = xllamacpp.Server(params)
    address: str = server.listening_address
    _wait_until_it_answers(address, options["prefix"])
    announcement.write(f"{address}\n")
    announcement.flush()
    return server


def _wait_until_it_answers(address: str, prefix: str) -> None:
    """Request the server's health once; the model was loaded when it was made."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", f"{prefix}/health")
    connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    main()
