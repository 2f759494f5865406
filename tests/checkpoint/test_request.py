"""What a checkpoint knows of a request, and what a line keeps of it."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recorded import completed, request

from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.checkpoint.line import decode_line, encode_line, restore_completion
from limin.checkpoint.request import RecordedRequest
from limin.errors import CheckpointError, ConversationError
from limin.values.content import Audio, File, Image
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from limin.values.content import Part

PNG = b"\x89PNG\r\n\x1a\n" + random.Random(0).randbytes(5_000)  # noqa: S311 (test data)
WAV = b"RIFF\x24\0\0\0WAVEfmt "
PDF = b"%PDF-1.7"
HI = Conversation.from_prompts("hi")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64_of(data)}"


def reference(media_type: str, data: bytes) -> dict[str, Any]:
    """What a line holds in the place of *data*."""
    digest = hashlib.sha256(data).hexdigest()
    return {"sha256": digest, "media_type": media_type, "size": len(data)}


def showing(*parts: Part) -> Conversation:
    """A conversation about *parts*."""
    return Conversation([Message("user", ["What is this?", *parts])])


def line_of(conversation: Conversation, **parameters: Any) -> dict[str, Any]:
    """The line of a request with *conversation*, as other programs read it."""
    line: dict[str, Any] = json.loads(
        encode_line(request(conversation, **parameters), completed())
    )
    return line


def part_in_line(part: Part) -> Any:
    """What a line holds of *part*."""
    return line_of(showing(part))["messages"][0]["content"][1]


# Parts, and what a line holds of them.
RECORDED: list[tuple[Part, dict[str, Any]]] = [
    (
        Image(PNG, detail="low"),
        {
            "type": "image_url",
            "image_url": {"url": reference("image/png", PNG), "detail": "low"},
        },
    ),
    (
        Image("https://a.test/b.png"),
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
    ),
    (
        Image(data_url("image/png", PNG)),
        {"type": "image_url", "image_url": {"url": reference("image/png", PNG)}},
    ),
    (
        Audio(WAV),
        {
            "type": "input_audio",
            "input_audio": {"data": reference("audio/wav", WAV), "format": "wav"},
        },
    ),
    (
        File(PDF, filename="a.pdf"),
        {
            "type": "file",
            "file": {"file_data": reference("application/pdf", PDF), "filename": "a.pdf"},
        },
    ),
    (File(file_id="f"), {"type": "file", "file": {"file_id": "f"}}),
    (
        {"type": "a", "b": [{"c": data_url("image/png", PNG)}], "d": [1, None, "e"]},
        {"type": "a", "b": [{"c": reference("image/png", PNG)}], "d": [1, None, "e"]},
    ),
    (
        {"type": "a", "url": "data:image/svg+xml;charset=utf-8;base64,PHN2Zz4="},
        {"type": "a", "url": reference("image/svg+xml", b"<svg>")},
    ),
    (
        {
            "type": "input_audio",
            "input_audio": {"data": base64_of(WAV), "format": "wav", "b": 1},
        },
        {
            "type": "input_audio",
            "input_audio": {
                "data": reference("audio/wav", WAV),
                "format": "wav",
                "b": 1,
            },
        },
    ),
]

# Parts without any bytes, which a line holds as they are.
AS_THEY_ARE: list[dict[str, Any]] = [
    {"type": "a", "url": "data:image/png;base64,AAA"},
    {"type": "a", "url": "data:text/plain,hello"},
    {"type": "a", "url": "data:"},
    {"type": "a", "url": "data:image/png;base64,\N{SNOWMAN}"},
    {"type": "a", "data": base64_of(WAV), "format": "wav"},
    {"type": "input_audio", "input_audio": {"data": "no base64", "format": "wav"}},
    {"type": "input_audio", "input_audio": {"data": None, "format": "wav"}},
    {"type": "input_audio", "input_audio": "AAAA"},
    {"type": "a", "number": 10**30},
]


@pytest.mark.parametrize(
    ("part", "expected"), [*RECORDED, *((part, part) for part in AS_THEY_ARE)]
)
def test_part(part: Part, expected: dict[str, Any]) -> None:
    """A line holds hash, type and size in the place of base64, and the rest as it is."""
    assert part_in_line(part) == expected


def test_line_of_a_large_picture_is_short() -> None:
    """A picture of 5 MB makes a line below 2 kB."""
    picture = Image(PNG + bytes(5_000_000))
    assert len(encode_line(request(showing(picture)), completed())) < 2_000


def test_calls_and_fields_are_kept_as_they_are() -> None:
    """Text, calls and unknown fields stand in the line, without the bytes of pictures."""
    call = ToolCall("a", "b", f'{{"url": "{data_url("image/png", PNG)}"}}')
    images = [{"url": data_url("image/png", PNG)}]
    conversation = Conversation(
        [
            Message("system", "Be brief."),
            Message("user", ["one", "two"], name="Ann"),
            Message("assistant", None, tool_calls=[call], extra={"images": images}),
            Message("tool", "5", tool_call_id="a"),
            Message("assistant", None, omit_content=True, extra={"refusal": "no"}),
            Message("user", []),
        ]
    )
    expected = conversation.to_openai()
    expected[2]["images"] = [{"url": reference("image/png", PNG)}]
    assert line_of(conversation)["messages"] == expected


def test_picture_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand prompts about one picture cost one hash of it."""
    picture = Image(PNG)
    expected = picture.to_reference()
    monkeypatch.setattr("limin.values.content.sha256_of", None)
    assert picture.to_reference() == expected


def canonical_digest(body: bytes) -> bytes:
    """The digest as the guide describes it."""
    fields = msgspec.json.decode(body, type=dict[str, Any])
    kept = {n: v for n, v in fields.items() if n not in {"stream", "stream_options"}}
    return hashlib.sha256(msgspec.json.encode(kept, order="sorted")).digest()


LONG = "A" * 5_000
TRICKY: list[tuple[Sequence[Part], dict[str, Any]]] = [
    ([Image(PNG)], {}),
    ([Image(PNG), Audio(WAV + PNG), File(PDF + PNG, filename="z"), Image(PNG)], {}),
    ([{"type": LONG, LONG: LONG}], {}),
    ([{"a": "text-0-0;", "b": LONG, "c": "text-1-"}], {}),
    ([{"numbers": [1.50, 1e3] * 2_000, "z": LONG, "a": 1}], {}),
    ([{"text": f'"{LONG}"'}, {"text": f":{LONG}"}, {"text": f"\\{LONG}"}], {}),
    ([{"text": f"{LONG}\x7f"}, {"text": f"{LONG}\N{SNOWMAN}"}, {"text": "/" * 5_000}], {}),
    ([Image(PNG)], {"extra_body": {"z": LONG, "a": [LONG, 10**30]}, "stream": True}),
    ([f"{LONG}\n{LONG}", Image(PNG)], {"stop": [LONG]}),
]


@pytest.mark.parametrize(("parts", "parameters"), TRICKY)
def test_digest_is_that_of_the_real_request(
    parts: Sequence[Part], parameters: dict[str, Any]
) -> None:
    """Texts that are not decoded to be hashed leave the digest what it would be."""
    conversation = showing(*parts)
    asked = request(conversation, **parameters)
    body = b"".join(asked.body.restore(asked.body.text))
    assert asked.digest == canonical_digest(body)
    assert json.loads(body)["messages"] == conversation.to_openai()
    line = line_of(conversation, **parameters)
    fields = json.loads(body)
    del fields["messages"]
    assert line["parameters"] == fields
    assert line["request"] == asked.digest.hex()


PIECES = st.sampled_from(
    ["", "a", '"', "\\", ":", ",", "]", "}", "\n", "\N{SNOWMAN}", "text-0-0;", "\x7f", LONG]
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
JSON = st.recursive(
    TEXTS | st.integers() | st.lists(st.floats(0, 1), max_size=1).map(lambda n: n * 2_000),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


@given(fields=st.dictionaries(TEXTS, JSON, max_size=3), extra=st.dictionaries(TEXTS, JSON))
@example(fields={LONG: LONG}, extra={"a": LONG})
def test_digest_of_any_request(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    """However texts, names and numbers mix, the digest is that of the whole body."""
    extra = {n: v for n, v in extra.items() if n not in {"messages", "stream"}}
    asked = request(showing(fields), extra_body=extra)
    body = b"".join(asked.body.restore(asked.body.text))
    assert asked.digest == canonical_digest(body)
    assert json.loads(body)["messages"] == showing(fields).to_openai()


def test_half_surrogate_beside_a_picture() -> None:
    """JSON's escapes in `extra_body` take the slower way, with the same promise."""
    asked = request(showing(Image(PNG)), extra_body={"a": "\ud800", "b": LONG})
    again = request(showing(Image(PNG)), extra_body={"b": LONG, "a": "\ud800"})
    assert asked.digest == again.digest
    other = request(showing(Image(PNG + b"!")), extra_body={"a": "\ud800", "b": LONG})
    assert asked.digest != other.digest
    line = json.loads(encode_line(asked, completed()))
    assert (line["parameters"]["a"], line["parameters"]["b"]) == ("?", LONG)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


@pytest.mark.parametrize("part", [part for part, _ in RECORDED])
def test_run_with_parts_resumes(path: Path, part: Part) -> None:
    """The same question is known again, and one about other bytes is another."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(showing(part)), completed())
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.take(request(showing(Image(PNG + b"!")))) is None
        assert checkpoint.take(request(showing(part))) is not None
    (completion,) = read_checkpoint(path)
    (message,) = completion.conversation.messages
    assert message.text.startswith("What is this?")
    assert completion.conversation.to_openai()[0]["content"][1] == part_in_line(part)  # type: ignore[index]  # a list


def test_bytes_are_mappings_when_read() -> None:
    """Whoever reads a checkpoint gets the stand-in of a picture as a mapping."""
    line = decode_line(encode_line(request(showing(Image(PNG))), completed()))
    assert line is not None
    assert restore_completion(line).conversation.messages == [
        Message(
            "user",
            [
                "What is this?",
                {"type": "image_url", "image_url": {"url": reference("image/png", PNG)}},
            ],
        )
    ]


def test_metadata_is_kept(path: Path) -> None:
    """The line holds the user's own fields, and no hash depends on them."""
    metadata = {"id": "q-1", "row": [1, None, {"\N{SNOWMAN}": 0.5}]}
    conversation = Conversation(HI.messages, metadata=metadata)
    assert request(conversation).digest == request(HI).digest
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(conversation), completed())
        checkpoint.add(request(HI), completed())
    first, second = read_checkpoint(path)
    assert (first.conversation.metadata, second.conversation.metadata) == (metadata, {})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["metadata"] == metadata
    assert "metadata" not in json.loads(lines[1])


def circle() -> dict[str, Any]:
    """A mapping that holds itself."""
    mapping: dict[str, Any] = {}
    mapping["secret"] = mapping
    return mapping


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"a": {"secret"}}, "Object of type set is not JSON serializable"),
        ({"a": b"secret"}, "Object of type bytes is not JSON serializable"),
        ({"secret": float("nan")}, "found another one"),
        ({"a": "\ud800"}, "found another one"),
        (circle(), "found another one"),
    ],
    ids=["set", "bytes", "nan", "surrogate", "circle"],
)
def test_metadata_that_json_cannot_hold(metadata: dict[str, Any], reason: str) -> None:
    """Such a value is refused before anything is sent, and is not shown."""
    with pytest.raises(ConversationError) as caught:
        RecordedRequest.of(b"{}", Conversation(HI.messages, metadata=metadata))
    assert str(caught.value) == (
        "metadata: expected values that JSON can hold, as the checkpoint keeps them; "
        f"{reason}"
    )


def without_checksum(line: dict[str, Any]) -> bytes:
    """The line as version 1 of the format had it."""
    old = {n: v for n, v in line.items() if n not in {"crc32", "limin_checkpoint"}}
    return json.dumps({"limin_checkpoint": 1, **old}, separators=(",", ":")).encode()


def test_line_of_version_1_is_read(path: Path) -> None:
    """Lines without checksum and metadata are read as before."""
    path.write_bytes(without_checksum(line_of(HI)) + b"\n")
    (completion,) = read_checkpoint(path)
    assert completion.conversation == HI
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.take(request()) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"messages": None},
        {"messages": {"role": "user"}},
        {"messages": ["secret"]},
        {"messages": [{"role": "secret", "content": [{"type": "text"}]}]},
        {"metadata": ["secret"]},
    ],
)
def test_line_that_somebody_changed(path: Path, changed: dict[str, Any]) -> None:
    """What is no conversation any more is told by its line, and is not shown."""
    path.write_bytes(without_checksum(line_of(HI) | changed) + b"\n")
    with pytest.raises(CheckpointError, match="line 1: expected a ") as caught:
        list(read_checkpoint(path))
    assert "secret" not in str(caught.value)
