"""An answer that repeats its beginning, which the conversation gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.values.log_probs import utf8_bytes
from limin.wire.log_probs import read_positions
from limin.wire.raw_json import decode_fields, has_value

if TYPE_CHECKING:
    from limin.wire import schema
    from limin.wire.response import ReadingContext

# Starts of `system_fingerprint` of servers that begin a new turn, or continue the last
# one without repeating it.
_NEVER_REPEAT = (
    b'"vllm-',  # Unless `echo` is asked for.
    b'"fp_',  # OpenAI and Ollama.
)


def find_prefill(
    body: schema.Completion, context: ReadingContext, data: bytes
) -> str | None:
    """Return the text that each choice repeats; None if none does.

    If a conversation ends with the assistant, llama.cpp continues that message, and a
    whole answer of it begins with the message. On other servers an answer may begin with
    the same words by itself.

    Args:
        body: The answer.
        context: The request that it belongs to.
        data: The bytes of the body.
    """
    messages = context.conversation.messages
    if not messages or messages[-1].role != "assistant":
        return None
    texts = [text for choice in body.choices if (text := choice.message.content)]
    # Templates strip white space at its end.
    for prefill in (messages[-1].text, messages[-1].text.rstrip()):
        if prefill and texts and all(text.startswith(prefill) for text in texts):
            return prefill if _is_repeated(prefill, body, context, data) else None
    return None


def _is_repeated(
    prefill: str, body: schema.Completion, context: ReadingContext, data: bytes
) -> bool:
    if context.sampling.echoes:
        return True
    for choice in body.choices:
        if choice.logprobs is not None and has_value(choice.logprobs.content):
            positions, _ = read_positions(choice.logprobs.content, "$")
            tokens = b"".join(map(utf8_bytes, positions))
            return not tokens.startswith(prefill.encode("utf-8", "replace"))
    fingerprint = bytes(decode_fields(data).get("system_fingerprint", b""))
    return not fingerprint.startswith(_NEVER_REPEAT)
