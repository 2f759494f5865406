"""Two real llama.cpp servers behind one address, of which one can be restarted."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import limin.local
from limin.local import find_model

_PROGRAM = Path(limin.local.__file__).with_name("local_server.py")
_N_CTX = 128


class LlamaServer:
    """A process of llama.cpp's server."""

    def __init__(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        options = {"path": str(find_model()), "slots": 4, "n_ctx": _N_CTX}
        line = json.dumps({**options, "n_threads": 1, "prefix": "/llama"})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        address = urlsplit(self._process.stdout.readline().decode().strip())
        self.address = address.hostname, address.port

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()


class Balancer:
    """Hands each connection to the next of the servers that live, as bytes."""

    def __init__(self, *servers: LlamaServer) -> None:
        """Listen on a free port of loopback."""
        self.servers = list(servers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/llama/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        self.servers.append(self.servers.pop(0))
        try:
            server = socket.create_connection(self.servers[0].address)
        except OSError:
            client.close()
            return
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
