"""OpenAI's own client reads the output of `limin run` as that of its Batch API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openai
from loopback import Request, completion, http
from openai.types import Batch
from openai.types.chat import ChatCompletion
from openai.types.shared import ErrorObject
from programs import serving

from limin.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REFUSAL = {"message": "too long", "type": "invalid_request_error", "param": "messages"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
COMPLETION = {"object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
JSON = "Content-Type: application/json\r\n"
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "output_file_id": "file-2",
    "completion_window": "24h",
    "created_at": 1,
    "status": "completed",
    "request_counts": {"total": 2, "completed": 1, "failed": 1},
}


def line(custom_id: str, prompt: str) -> str:
    """Return a line of an input."""
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    request = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps({"custom_id": custom_id, **request}) + "\n"


def test_output_is_read_by_openai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script for the Batch API gets its answers and its refusals from our file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text(line("good", "hi") + line("bad", "no"))

    async def respond(request: Request) -> bytes:
        path = request.head.split()[1]
        if path.endswith(b"/batches/batch_1"):
            return http(json.dumps(BATCH).encode(), headers=JSON)
        if path.endswith(b"/files/file-2/content"):
            return http((tmp_path / "out.jsonl").read_bytes())
        if request.prompt == "no":
            body = {"error": {**REFUSAL, "code": "context_length_exceeded"}}
            return http(json.dumps(body).encode(), "400 Bad Request")
        return http(completion("hello", **COMPLETION))

    with serving(respond) as server:
        arguments = ["--base-url", server.base_url, "-o", "out.jsonl"]
        assert main(["run", "in.jsonl", *arguments]) == 1
        with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
            batch = client.batches.retrieve("batch_1")
            assert isinstance(batch, Batch)
            assert batch.output_file_id is not None
            text = client.files.content(batch.output_file_id).text
    lines = {each["custom_id"]: each for each in map(json.loads, text.splitlines())}
    response = lines["good"]["response"]
    answer = ChatCompletion.model_validate(response["body"], strict=True)
    assert (response["status_code"], lines["good"]["error"]) == (200, None)
    assert answer.choices[0].message.content == "hello"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10
    refusal = lines["bad"]["response"]
    error = ErrorObject.model_validate(refusal["body"]["error"], strict=True)
    assert (refusal["status_code"], error.code) == (400, "context_length_exceeded")
