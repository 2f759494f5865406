"""The tool calls of an answer, and the message with which its conversation goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from limin.values.messages import Message
from limin.values.openai_messages import message_from_openai
from limin.values.tools import ToolCall
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.finish_reasons import is_failure
from limin.wire.fragments import (
    FUNCTION,
    TEXTS,
    read_extra,
    read_fragments,
    read_function_call,
)
from limin.wire.raw_json import (
    UNDECODABLE,
    has_value,
    is_null,
    kind_of,
    split_elements,
    split_fields,
)
from limin.wire.surrogates import mend_json, mend_text
from limin.wire.unknown_values import read_value, read_values

if TYPE_CHECKING:
    from limin.values.choice import Choice
    from limin.values.conversation import Conversation
    from limin.values.messages import Call, Content
    from limin.wire import schema
    from limin.wire.fragments import Fragment
    from limin.wire.sampling import Sampling

# What only answers have, and what the fields of a `Message` hold.
_NOT_SENT_BACK = frozenset(
    {"role", "content", "tool_calls", "function_call", "annotations", "audio", "index"}
)

_FUNCTION_CALL = "function_call"

# A field that DeepSeek and Kimi want in each message of theirs, even without a text.
# Source: https://github.com/MoonshotAI/kimi-cli/issues/2141
_SENT_BACK_EMPTY = "reasoning_content"


def calls_tools(message: schema.Message) -> bool:
    """Return whether any tool is called in *message*, be it a function or not."""
    return has_value(message.tool_calls) or has_value(message.function_call)


# The ends of answers that may not have come to the call.
_CUT_OFF = frozenset({"length", "content_filter"})


def check_tool_choice(
    choices: tuple[Choice, ...],
    body: schema.Completion,
    sampling: Sampling,
    *,
    is_stream: bool,
) -> tuple[ResponseWarning, ...]:
    """Return a warning for each choice without the call that was required."""
    if not sampling.must_call:
        return ()
    tool = sampling.named_tool
    warnings: list[ResponseWarning] = []
    for position, (choice, raw) in enumerate(zip(choices, body.choices, strict=True)):
        names = {call.name for call in choice.tool_calls}
        is_followed = calls_tools(raw.message) if tool is None else tool in names
        is_broken_off = is_stream and choice.finish_reason is None
        is_cut_off = choice.finish_reason in _CUT_OFF or is_failure(raw.finish_reason)
        if is_followed or is_broken_off or is_cut_off or choice.refusal:
            continue
        found = "another" if choice.tool_calls else "none"
        problem = f"expected the call of a tool that was required, found {found}"
        path = f"$.choices[{position}].message.tool_calls"
        warnings.append(ResponseWarning(WarningCode.TOOL_CHOICE_IGNORED, path, problem))
    return tuple(warnings)


def read_tool_calls(
    message: schema.Message, conversation: Conversation
) -> tuple[ToolCall, ...]:
    """Return the calls of functions in *message*, the answer to *conversation*.

    A call without an id gets one that is made from its place in the conversation.
    """
    fragments = read_fragments(message.tool_calls)
    fragments = fragments or read_function_call(message.function_call)
    ids = _find_ids(fragments, conversation)
    return tuple(
        _read_call(fragment, call_id)
        for fragment, call_id in zip(fragments, ids, strict=True)
        if fragment.is_function
    )


def read_message(body: bytes, position: int, choice: Choice) -> Message:
    """Return the message of *choice*, to be sent back to the server.

    Args:
        body: The body of the response.
        position: The position of the choice in it.
        choice: The choice, whose calls have ids.
    """
    fields = _find_message(mend_json(body)[0], position)
    typed = iter(choice.tool_calls)
    calls: list[Call] = []
    for fragment in read_fragments(fields.get("tool_calls", _ABSENT)):
        if not fragment.is_function:
            calls.append(_as_sent(fragment))
        elif (call := next(typed, None)) is not None:
            calls.append(call)
    extra = read_values({k: v for k, v in fields.items() if k not in _NOT_SENT_BACK})
    extra = {
        name: value
        for name, value in extra.items()
        if name == _SENT_BACK_EMPTY or value not in ("", [], {})
    }
    for fragment in read_function_call(fields.get(_FUNCTION_CALL, _ABSENT)):
        extra[_FUNCTION_CALL] = _body_of(fragment, FUNCTION)
    content = _read_content(fields.get("content", _ABSENT), choice, extra, calls)
    return Message("assistant", content, tool_calls=tuple(calls), extra=extra or None)


_ABSENT = msgspec.Raw()


class _WithMessage(msgspec.Struct, gc=False):
    message: msgspec.Raw = _ABSENT


class _WithChoices(msgspec.Struct, gc=False):
    choices: list[_WithMessage]


_decoder = msgspec.json.Decoder(_WithChoices)


def _find_message(body: bytes, position: int) -> dict[str, msgspec.Raw]:
    try:
        return split_fields(_decoder.decode(body).choices[position].message)
    except UNDECODABLE:
        choices = split_elements(split_fields(body).get("choices", _ABSENT))
        return split_fields(split_fields(choices[position]).get("message", _ABSENT))


def _read_content(
    raw: msgspec.Raw, choice: Choice, extra: dict[str, object], calls: list[Call]
) -> Content:
    """Return the content: parts if it came in parts, and else its text or null."""
    parts = read_value(raw) if kind_of(raw) == b"[" else None
    if parts:
        fields = {"role": "assistant", "content": parts}
        message = message_from_openai(fields, 0)
        if not message.omit_content:
            return message.content
    has_calls = bool(calls) or _FUNCTION_CALL in extra
    return None if has_calls and is_null(raw) and not choice.message else choice.message


def _as_sent(fragment: Fragment) -> dict[str, object]:
    """Return a call that is none of a function as it came."""
    fields = read_extra(fragment) or {}
    if fragment.id:
        fields["id"] = fragment.id
    if fragment.body_name:
        fields[fragment.body_name] = _body_of(fragment, fragment.body_name)
    return fields


def _body_of(fragment: Fragment, name: str) -> dict[str, object]:
    """Return the object *name* of a call, with its name and its text."""
    texts = {"name": fragment.name, TEXTS[name]: fragment.text}
    body: dict[str, object] = {k: mend_text(text) for k, text in texts.items() if text}
    return body | read_values(fragment.inner or {})


def _read_call(fragment: Fragment, call_id: str) -> ToolCall:
    return ToolCall(
        call_id,
        mend_text(fragment.name or ""),
        mend_text(fragment.text),
        extra=read_extra(fragment),
    )


def _make_id(number: int) -> str:
    return f"call{number:05d}"


def _find_ids(fragments: list[Fragment], conversation: Conversation) -> list[str]:
    """Return an id for each call: its own, or one that is made from its place.

    Those have 9 characters, as many as Mistral wants. They come from the conversation and
    not by chance, so that a run that is continued makes the same.
    """
    if all(fragment.id for fragment in fragments):
        return [fragment.id or "" for fragment in fragments]
    calls = [call for message in conversation.messages for call in message.tool_calls]
    given = [call.id if isinstance(call, ToolCall) else call.get("id") for call in calls]
    taken = {*given, *(fragment.id for fragment in fragments)}
    ids: list[str] = []
    number = 0
    for position, fragment in enumerate(fragments, start=len(calls) + 1):
        if fragment.id:
            ids.append(fragment.id)
            continue
        number = max(number, position)
        while _make_id(number) in taken:
            number += 1
        ids.append(_make_id(number))
        number += 1
    return ids
