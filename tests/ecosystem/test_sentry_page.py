"""The program about Sentry in the guide on services, with a Sentry of our own."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "guides" / "services.md"
FLAGS = re.MULTILINE | re.DOTALL


def test_errors_are_reported_without_the_prompt(tmp_path: Path) -> None:
    """Sentry gets the error, grouped by its class, and no word of the prompt."""
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), FLAGS)
    (program,) = (program for program in programs if "import sentry_sdk" in program)
    envelopes: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            envelopes.append(gzip.decompress(body).decode())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        nobody = "http://127.0.0.1:9/v1"  # Nothing listens there.
        sentry = f"http://key@127.0.0.1:{server.server_port}/1"
        path = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        result = subprocess.run(  # noqa: S603 (the project's own example)
            [sys.executable, "-c", program],
            env={"OPENAI_BASE_URL": nobody, "SENTRY_DSN": sentry, "PATH": "", **path},
            cwd=tmp_path,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        server.shutdown()
        thread.join()
    assert result.returncode == 0, result.stderr
    reports = [text for text in envelopes if "exception" in text]
    assert len(reports) == 1, envelopes
    assert "A secret. A secret." not in "".join(envelopes)
    event = json.loads(reports[0].splitlines()[2])
    assert event["fingerprint"] == ["ConnectError", "None"]
    assert event["tags"]["limin.attempts"] == "1"
