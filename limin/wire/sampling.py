"""How a request has its tokens chosen, as far as the checks of an answer depend on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# Fields that constrain the answer by a grammar. A server may ignore those of another
# one; see `Diagnosis`.
_CONSTRAINTS = (
    "response_format",  # OpenAI.
    "grammar",  # llama.cpp.
    "json_schema",  # llama.cpp, SGLang.
    "structured_outputs",  # vLLM.
    "guided_json",  # vLLM before 0.12, and the next five.
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "guided_json_object",
    "guided_structural_tag",
    "regex",  # SGLang, and the next two.
    "ebnf",
    "structural_tag",
)

# Fields by which a server samples from other probabilities than it reports, so that even
# at temperature 0 the sampled token need not be the likeliest one.
_SHIFTS = (
    "logit_bias",  # OpenAI, and the next two.
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",  # vLLM, SGLang, TGI.
    "repeat_penalty",  # llama.cpp, Ollama.
    "allowed_token_ids",  # vLLM, and the next six.
    "bad_words",
    "min_tokens",
    "ignore_eos",
    "logits_processors",
    "thinking_token_budget",
    "use_beam_search",
    "no_repeat_ngram_size",  # transformers.
    "custom_logit_processor",  # SGLang.
    "dry_multiplier",  # llama.cpp, and the next four.
    "xtc_probability",
    "mirostat",
    "samplers",
    "dynatemp_range",
)

_NEUTRAL_PENALTY = 1.0  # Of `repetition_penalty` and `repeat_penalty`, which multiply.


class Sampling(msgspec.Struct, frozen=True, gc=False):
    """How the tokens of an answer are chosen, and where it ends.

    Attributes:
        is_greedy: Whether each token is the likeliest one by the reported
            probabilities; False if that is not known.
        is_constrained: Whether a grammar constrains the answer.
        names_alternatives: Whether the request names the alternatives by their ids.
        stops: The texts at which the answer ends.
        stops_at_ids: Whether it ends at other tokens than the model's own, too.
        echoes: Whether the answer is to repeat the message that it continues.
        must_call: Whether the answer must call a tool.
        named_tool: Name of the function that it must call; None for any.
    """

    is_greedy: bool = False
    is_constrained: bool = False
    names_alternatives: bool = False
    stops: tuple[str, ...] = ()
    stops_at_ids: bool = False
    echoes: bool = False
    must_call: bool = False
    named_tool: str | None = None

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Sampling:
        """Return the sampling of a request with the *fields* of its body."""
        greedy = (("temperature", 0), ("top_p", 0), ("top_k", 1))
        stop = fields.get("stop")
        stops = cast("list[object]", stop) if isinstance(stop, (list, tuple)) else [stop]
        named_tool = _named_tool(fields.get("tool_choice"))
        return cls(
            is_greedy=any(fields.get(name) == value for name, value in greedy)
            and not any(_is_set(fields, name) for name in _SHIFTS),
            is_constrained=any(_is_set(fields, name) for name in _CONSTRAINTS),
            names_alternatives=_is_set(fields, "logprob_token_ids"),  # vLLM.
            stops=tuple(text for text in stops if isinstance(text, str) and text),
            stops_at_ids=_is_set(fields, "stop_token_ids"),  # vLLM, SGLang.
            echoes=_is_set(fields, "echo"),  # vLLM.
            # Mistral's word is `any`.
            must_call=bool(named_tool) or fields.get("tool_choice") in ("required", "any"),
            named_tool=named_tool,
        )


def _named_tool(choice: object) -> str | None:
    """Return the name of the function that must be called; None if none is named."""
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            return name
        case _:
            return None


def _is_set(fields: Mapping[str, object], name: str) -> bool:
    """Return whether the field *name* has a value that changes anything."""
    value = fields.get(name)
    if name in {"repetition_penalty", "repeat_penalty"} and value == _NEUTRAL_PENALTY:
        return False
    return bool(value) and value != {"type": "text"}
