"""Whether the tokens of an answer spell it, and which of them are lost.

Servers list tokens whose text they do not send.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

import attrs

from limin.values.log_probs import utf8_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.log_probs import Entry, Position
    from limin.wire.sampling import Sampling

# Control tokens, which vLLM and SGLang list and leave out of the text.
_CONTROL_TOKENS = (
    r"<\|[^<>|\s]{1,64}\|>",  # ChatML, Llama 3, Phi, GLM, gpt-oss: <|im_end|>
    "<\uff5c[^<>\uff5c\\s]{1,64}\uff5c>",  # DeepSeek, with wide bars: end_of_sentence
    r"</?s>",  # Llama 2, Mistral.
    r"<(?:eos|bos|pad|unk|eod)>",  # Gemma, Falcon, Qwen 1.
    r"<(?:start|end)_of_(?:turn|text|utterance|image)>",  # Gemma, SmolVLM.
    r"<seed:[a-z_]+>",  # Seed-OSS.
    r"\[/?[A-Z][A-Z_]{2,31}\]",  # Mistral, Kimi: [EOS], [/INST]
    r"\[e~\[",  # MiniMax.
)
_CONTROL = re.compile("|".join(_CONTROL_TOKENS).encode())

# Marks around the reasoning, which servers leave out of both reasoning and answer.
_REASONING_MARK = re.compile(
    rb"</?(?:think|thinking|reasoning|seed:think)>"  # Qwen 3, DeepSeek R1, Seed-OSS.
    rb"|\[/?THINK\]"  # Magistral.
)


@attrs.frozen
class AnswerText:
    """The text that the tokens of an answer should join to.

    Attributes:
        text: The answer.
        reasoning: The reasoning before it; empty if there is none.
        calls_tools: Whether the answer calls tools, so its tokens may spell the calls.
    """

    text: str
    reasoning: str = ""
    calls_tools: bool = False

    def is_spelled_by(self, positions: Sequence[Position], sampling: Sampling) -> bool:
        """Return whether the tokens at *positions* spell the text.

        More tokens may stand behind it: control tokens, the tokens of a stop text, and
        one that was to end the answer. Only a constrained answer may have lost the
        white space around it, which llama.cpp strips.
        """
        if self.calls_tools:
            return self._is_beside_calls(positions)
        text = self.text.encode("utf-8", "replace")
        if any(map(_has_no_text, positions)):
            return _occur_in_order(positions, text)
        tokens = [utf8_bytes(position) for position in positions]
        joined = b"".join(tokens)
        is_ended_by_id = sampling.stops_at_ids and joined == text + b"".join(tokens[-1:])
        if joined == text or is_ended_by_id:
            return True
        without_control = b"".join(
            token for token in tokens if not _CONTROL.fullmatch(token)
        )
        if any(_ends_behind(text, part, sampling) for part in (joined, without_control)):
            return True
        without_marks = _REASONING_MARK.sub(b"", without_control)
        both = (self.reasoning + self.text).encode("utf-8", "replace")
        return bool(self.reasoning) and _squeeze(without_marks) == _squeeze(both)

    def _is_beside_calls(self, positions: Sequence[Position]) -> bool:
        """Return whether the tokens spell the text, and perhaps calls around it.

        Some servers list the tokens of the calls, and some do not.
        """
        if not self.text or any(map(_has_no_text, positions)):
            return True
        tokens = b"".join(
            token for token in map(utf8_bytes, positions) if not _CONTROL.fullmatch(token)
        )
        return _squeeze(self.text.encode("utf-8", "replace")) in _squeeze(tokens)

    def is_inside(self, positions: Sequence[Position]) -> bool:
        """Return whether the tokens at *positions* spell more than the text."""
        joined = b"".join(map(utf8_bytes, positions))
        return self.text.encode("utf-8", "replace") in joined


def find_lost_tokens(positions: Iterable[Position]) -> Iterable[int]:
    """Yield the indices of tokens that have the text of lost tokens before them.

    llama.cpp holds text back while it may become a stop text, and moves it to the next
    token: `""` in the place of `" "`, then `" 2"` in the place of `"2"`. In a stream the
    entries without text are lost.
    """
    held_back: list[bytes] = []
    for index, position in enumerate(positions):
        listed_text = _listed_text(position)
        text = utf8_bytes(position)
        if listed_text is None or text == listed_text:
            held_back.clear()
        elif not text:
            held_back.append(listed_text)
        else:
            if text.endswith(listed_text) and text != b"".join(held_back) + listed_text:
                yield index
            held_back.clear()


def _listed_text(position: Position) -> bytes | None:
    """Return the text of the sampled token among the alternatives, found by its id."""
    if position.id is None:
        return None
    for entry in position.top_logprobs or ():
        if entry.id == position.id:
            return utf8_bytes(entry) or None
    return None


def _ends_behind(text: bytes, joined: bytes, sampling: Sampling) -> bool:
    if sampling.is_constrained:
        text, joined = text.strip(), joined.strip()
    if joined == text:
        return True
    stops = tuple(stop.encode("utf-8", "replace") for stop in sampling.stops)
    return joined.startswith(text) and joined.startswith(stops, len(text))


def _occur_in_order(positions: Sequence[Position], text: bytes) -> bool:
    """Return whether the tokens with a text stand in *text*, one behind the other."""
    end = 0
    for has_no_text, run in groupby(positions, key=_has_no_text):
        if not has_no_text:
            part = b"".join(map(utf8_bytes, run))
            start = text.find(part, end)
            if start < 0:
                return False
            end = start + len(part)
    return True


def _squeeze(text: bytes) -> bytes:
    return b"".join(text.split())


def _has_no_text(entry: Entry) -> bool:
    """Return whether only the id of a token is known."""
    is_unnamed = not entry.token or entry.token.startswith("token_id:")
    return is_unnamed and entry.bytes is None and entry.id is not None
