"""A server that answers each prompt with itself after some time, and counts what it does.

It prints its port, and ends when its stdin closes. `GET /counts` tells how many requests
came, and how many at once. Run it with the seconds that an answer takes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

# An end even if the parent forgets to close our stdin.
_SECONDS_AT_MOST = 1200.0

_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
)


class Counts:
    """What the server did so far."""

    def __init__(self) -> None:
        self.requests = self.under_way = self.most = 0
        self.first = self.last = 0.0  # When they came, and were answered; in seconds.


counts = Counts()


def answer_to(body: bytes) -> bytes:
    """Return a completion that repeats the prompt."""
    prompt = json.loads(body)["messages"][-1]["content"]
    message = {"role": "assistant", "content": prompt}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return json.dumps({"id": "c", "choices": [choice], "usage": usage}).encode()


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length:")
            body = await reader.readexactly(int(rest.partition(b"\r\n")[0] or b"0"))
            writer.write(await respond(head, body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def respond(head: bytes, body: bytes) -> bytes:
    """Return the response to one request, after a while."""
    if head.startswith(b"GET"):
        answer, status = json.dumps(vars(counts)).encode(), "200 OK"
        counts.requests = counts.most = 0
        counts.first = counts.last = 0.0
    else:
        counts.requests += 1
        counts.first = counts.first or time.monotonic()
        counts.under_way += 1
        counts.most = max(counts.most, counts.under_way)
        await asyncio.sleep(float(sys.argv[1]))
        counts.under_way -= 1
        counts.last = time.monotonic()
        answer, status = answer_to(body), "200 OK"
        if b'"refuse' in body:
            answer, status = b'{"error": {"message": "too odd"}}', "400 Bad Request"
    return _HEAD.format(status=status, size=len(answer)).encode() + answer


async def serve() -> None:
    """Serve until stdin closes or the time is up."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    loop, stdin = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    try:
        async with asyncio.timeout(_SECONDS_AT_MOST):
            await stdin.read()
    except TimeoutError:
        sys.stderr.write("the fake server ran out of time\n")


if __name__ == "__main__":
    asyncio.run(serve())
