"""The records of the logger `limin`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request, completion, http, serve
from streaming import HELLO, serve_scripts, streamed

import limin
from limin import Client
from limin.calls.log import LOG

if TYPE_CHECKING:
    from loopback import Loopback

KEY = "sk-very-secret-key-0123456789"
PROMPT = "nobody's business"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return limin's fields of *record*, without those that differ each time."""
    names = (name for name in vars(record) if name.startswith("limin_"))
    fields = {name.removeprefix("limin_"): vars(record)[name] for name in names}
    json.dumps(fields)
    return {name: fact for name, fact in fields.items() if name != "seconds"}


async def ask(server: Loopback, **options: Any) -> None:
    """Ask *server* once."""
    async with Client(server.base_url, KEY) as client:
        await client.generate_text_completion(PROMPT, model="m", **options)


async def busy_once(request: Request) -> bytes:
    """Refuse the first request on each connection, and quote the prompt."""
    if busy_once.__dict__.setdefault("is_first", True):
        busy_once.__dict__["is_first"] = False
        return http(b"%b" % request.body, "503 Busy", "x-request-id: r-1\r\n")
    body = completion("fine", model="m-2026", usage=USAGE)
    return http(body, headers="x-request-id: r-2\r\n")


async def test_nobody_reads() -> None:
    """By default the logger is at WARNING, and its observer takes no part."""
    async with serve() as server, Client(server.base_url) as client:
        caller = client._caller({})
        assert caller.log is LOG
        assert not LOG.is_read()
        await client.generate_text_completion("hi")
    assert LOG._begun == {}


async def test_records_of_a_call(caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt and each wait at DEBUG, and the completion at INFO, with fields."""
    busy_once.__dict__.clear()
    with caplog.at_level(logging.DEBUG, "limin"):
        async with serve(busy_once) as server:
            await ask(server)
    host = server.base_url.split("/")[2]
    texts = [record.getMessage() for record in caplog.records if record.name == "limin"]
    assert texts[:3] == [
        f"m at {host}: attempt 1 is sent",
        f"m at {host}: attempt 1 failed with ServerError 503; the next follows in 0.00 s",
        f"m at {host}: attempt 2 is sent",
    ]
    assert texts[3].startswith(f"m at {host}: attempt 2 brought the answer after 0.")
    records = [record for record in caplog.records if record.name == "limin"]
    assert [record.levelname for record in records] == ["DEBUG"] * 3 + ["INFO"]
    same = {"model": "m", "endpoint": host}
    error = {"error": "ServerError", "status": 503, "request_id": "r-1"}
    assert [facts_of(record) for record in records] == [
        {"event": "attempt", "attempt": 1} | same,
        {"event": "waiting", "attempt": 1, "wait": 0.0} | same | error,
        {"event": "attempt", "attempt": 2} | same,
        {
            "event": "finished",
            "attempt": 2,
            "served_model": "m-2026",
            "finish_reason": "stop",
            "request_id": "r-2",
            "time_to_first_token": None,
            "prompt_tokens": 3,
            "completion_tokens": 2,
        }
        | same,
    ]
    assert vars(records[3])["limin_seconds"] > 0


async def test_info_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads at INFO gets one record for each completion."""
    busy_once.__dict__.clear()
    with caplog.at_level(logging.INFO, "limin"):
        async with serve(busy_once) as server:
            await ask(server)
    records = [record for record in caplog.records if record.name == "limin"]
    assert [facts_of(record)["event"] for record in records] == ["finished"]


async def test_what_a_server_says_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the words of a refusal, nor the key or the prompt in the place of a name."""

    async def quote(request: Request) -> bytes:
        if b'"stop"' in request.body:
            text = json.dumps({"error": {"message": f"Not {PROMPT[:9]} {KEY}"}})
            return http(text.encode(), "400 No", f"x-request-id: {KEY}\r\n")
        body = completion("fine", model=f"{PROMPT}!", id=KEY)
        body = body.replace(b'"finish_reason": "stop"', b'"finish_reason": "no\\n"')
        return http(body, headers=f"x-request-id: {PROMPT[:9]}\r\n")

    with caplog.at_level(logging.DEBUG, "limin"):
        async with serve(quote) as server:
            await ask(server)
            with pytest.raises(limin.BadRequestError):
                await ask(server, stop="x")
    records = [record for record in caplog.records if record.name == "limin"]
    facts = [facts_of(record) for record in records if record.levelname == "INFO"]
    names = ("served_model", "finish_reason", "request_id")
    assert [facts[0][name] for name in names] == [None] * 3
    assert (facts[1]["error"], facts[1]["status"]) == ("BadRequestError", 400)
    assert facts[1]["request_id"] == "***"
    shown = caplog.text + str([vars(record) for record in records])
    assert KEY not in shown
    assert PROMPT[:9] not in shown


async def test_calls_that_bring_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """One that was cancelled, one that had no server, and a stream that was left."""

    async def silent(_request: Request) -> bytes:
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    with caplog.at_level(logging.INFO, "limin"):
        async with serve(silent) as server:
            with anyio.CancelScope() as scope:
                await ask(server)
        async with Client("http://127.0.0.1:9/v1", max_retries=0) as client:
            with pytest.raises(limin.ConnectError):
                await client.generate_text_completion("hi")
        async with (
            serve_scripts([streamed(*HELLO)]) as streaming,
            Client(streaming.base_url) as client,
            client.stream_text_completion("hi"),
        ):
            pass
    records = [record for record in caplog.records if record.name == "limin"]
    errors = [facts_of(record).get("error") for record in records]
    assert errors == [anyio.get_cancelled_exc_class().__name__, "ConnectError", None]
    assert "was left before the end of its stream" in records[2].getMessage()
