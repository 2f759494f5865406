"""The standard shape of a response's body, as msgspec decodes it.

Fields that are not named here are skipped while decoding, and kept in the raw body.
Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from limin.values.log_probs import Position


class RequestMessage(msgspec.Struct, gc=False):
    """One element of `messages`."""

    role: str
    content: str


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _Counts(msgspec.Struct, gc=False):
    """Counts that stand in `usage` or in its details; `wire.usage` says whose they are."""

    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    num_cached_tokens: Count | None = None
    cached_prompt_tokens: Count | None = None
    cached_content_token_count: Count | None = None
    cache_read_tokens: Count | None = None
    thinking_tokens: Count | None = None
    thoughts_token_count: Count | None = None


class TokenDetails(_Counts, gc=False):
    """`usage.prompt_tokens_details` and `usage.completion_tokens_details`."""


class Usage(_Counts, gc=False):
    """`usage`."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None


class LogProbs(msgspec.Struct, gc=False):
    """`choices[].logprobs`; its lists stay bytes until they are read.

    DeepSeek lists the tokens of the reasoning apart. The last five are fields of OpenAI's
    old completions API; Together adds the ids.
    """

    content: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    tokens: msgspec.Raw = msgspec.Raw()
    token_logprobs: msgspec.Raw = msgspec.Raw()
    top_logprobs: msgspec.Raw = msgspec.Raw()
    token_ids: msgspec.Raw = msgspec.Raw()
    text_offset: msgspec.Raw = msgspec.Raw()


class Message(msgspec.Struct, gc=False):
    """`choices[].message`; tool calls stay bytes."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()


class Choice(msgspec.Struct, gc=False):
    """One of `choices`."""

    message: Message
    index: Count | None = None
    finish_reason: str | None = None
    logprobs: LogProbs | None = None
    error: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    token_ids: msgspec.Raw = msgspec.Raw()


class Completion(msgspec.Struct, gc=False):
    """The whole body."""

    choices: list[Choice]
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    prompt_logprobs: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()
    base_resp: msgspec.Raw = msgspec.Raw()  # MiniMax: its own status, and a message


completion_decoder = msgspec.json.Decoder(Completion)
usage_decoder = msgspec.json.Decoder(Usage)
positions_decoder = msgspec.json.Decoder(list[Position])


class MessageDelta(Message, gc=False):
    """`choices[].delta` of a chunk."""


class ChunkChoice(msgspec.Struct, gc=False):
    """One of `choices` of a chunk.

    A few servers send `message`, or the `text` of OpenAI's older interface, instead
    of `delta`.
    """

    delta: MessageDelta | None = None
    index: Count | None = None
    finish_reason: str | None = None
    logprobs: LogProbs | None = None
    error: msgspec.Raw = msgspec.Raw()
    message: MessageDelta | None = None
    text: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    token_ids: msgspec.Raw = msgspec.Raw()


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream; with `message` or `detail` it is an error.

    Source: https://platform.openai.com/docs/api-reference/chat-streaming
    """

    choices: list[ChunkChoice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    model: msgspec.Raw = msgspec.Raw()
    created: msgspec.Raw = msgspec.Raw()
    system_fingerprint: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    detail: msgspec.Raw = msgspec.Raw()
    errors: msgspec.Raw = msgspec.Raw()
    base_resp: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()
    provider: msgspec.Raw = msgspec.Raw()  # OpenRouter.


chunk_decoder = msgspec.json.Decoder(Chunk)


class KnownLogProbs(LogProbs, gc=False, forbid_unknown_fields=True):
    """`logprobs` without an unknown field."""


class KnownDelta(MessageDelta, gc=False, forbid_unknown_fields=True):
    """A delta without an unknown field; those that are typed None say nothing."""

    role: msgspec.Raw = msgspec.Raw()
    audio: None = None
    annotations: None = None


class KnownChunkChoice(ChunkChoice, gc=False, forbid_unknown_fields=True):
    """One of `choices` without an unknown field that says anything."""

    delta: KnownDelta | None = None  # pyright: ignore[reportIncompatibleVariableOverride] # nothing is assigned
    logprobs: KnownLogProbs | None = None  # pyright: ignore[reportIncompatibleVariableOverride] # nothing is assigned
    message: KnownDelta | None = None  # pyright: ignore[reportIncompatibleVariableOverride] # nothing is assigned
    stop_reason: None = None  # vLLM.
    matched_stop: None = None  # SGLang.
    native_finish_reason: None = None  # OpenRouter.


class KnownChunk(Chunk, gc=False, forbid_unknown_fields=True):
    """An event of a stream that has no field that limin does not know.

    The fields named here are those that servers send with each chunk. An event with
    another one cannot be decoded, and is read more slowly.
    """

    choices: list[KnownChunkChoice] | None = None  # type: ignore[assignment] # decoded, and nothing is added
    object: msgspec.Raw = msgspec.Raw()
    obfuscation: msgspec.Raw = msgspec.Raw()  # Padding of OpenAI, and that of Mistral.
    p: msgspec.Raw = msgspec.Raw()


known_chunk_decoder = msgspec.json.Decoder(KnownChunk)
