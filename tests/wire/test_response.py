import json
import math
from typing import Any

import attrs
import pytest
from builders import (
    TIMING,
    body_of,
    capture,
    captures,
    look_at_everything,
    read,
    read_capture,
)
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import ResponseError, StatusError
from limin.values.conversation import Conversation
from limin.values.tokens import TokenLogProb
from limin.values.usage import Usage
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.response import ReadingContext


def failed_finish() -> ResponseWarning:
    """The warning about an answer that ended because something failed."""
    return ResponseWarning(
        WarningCode.FAILED_FINISH,
        "$.choices[0].finish_reason",
        "the reason for the end speaks of a failure",
    )


def usage_of(prompt: int, completion: int, total: int, cached: int | None = None) -> Usage:
    """Return the usage that a server counted."""
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_tokens=cached,
    )


# Copied by hand from the captures; usage: prompt, completion, total, cached.
CAPTURED: dict[str, dict[str, Any]] = {
    "llama.cpp-b11549-empty_stop_first": {
        "message": "I",
        "finish_reason": "length",
        "usage": usage_of(33, 1, 34, 24),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-EzgX9E9buZIO56J9MeoptJVUSCBUQHMS",
    },
    "llama.cpp-b11549-json_schema": {
        "message": '{\n  "capital": "Cépȩt-Là-Là"\n}',
        "finish_reason": "stop",
        "usage": usage_of(35, 32, 67, 24),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-nePurYUalMgRFC068CjhClAHJE7TJaya",
    },
    "llama.cpp-b11549-logprobs_emoji": {
        "message": "🦊🌍 Café in Tokyo.",
        "finish_reason": "stop",
        "usage": usage_of(45, 12, 57, 24),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-tlBnN2u2hlZrST98JKrXr5AXXRe9fqPs",
    },
    "llama.cpp-b11549-logprobs_top0": {
        "message": "The answer to this classic math",
        "finish_reason": "length",
        "usage": usage_of(37, 6, 43, 26),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-sLeapfCZOq1dAFbzsGOZFbrvM7Rsny2z",
    },
    "llama.cpp-b11549-logprobs_top1_hot": {
        "message": "In the twilight, where shadows are lost, a world lies unseen,\nThe",
        "finish_reason": "length",
        "usage": usage_of(36, 16, 52, 35),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-m1y22nnQeSXAqkl3OO0zF0Rix43tHzD6",
    },
    "llama.cpp-b11549-logprobs_top5_greedy": {
        "message": "The answer to this classic math problem is 4.",
        "finish_reason": "stop",
        "usage": usage_of(37, 12, 49, 36),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-6ti9JxiNBAyQ0e3kDPAL3Tqgf9fyCZ8B",
    },
    "llama.cpp-b11549-null_penalty_accepted": {
        "message": "I'm",
        "finish_reason": "length",
        "usage": usage_of(31, 2, 33, 30),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-Ho9WOPIqiukDieKrNmc1jiWT5GZjpBat",
    },
    "llama.cpp-b11549-plain": {
        "message": "L'Étoile, la Marseillaise, la femme,",
        "finish_reason": "length",
        "usage": usage_of(37, 16, 53, 27),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-QJwvEVuYZ5XHOcS5bMCoEKXZH6w6feCK",
    },
    "llama.cpp-b11549-stop_sequence": {
        "message": "One, two, ",
        "finish_reason": "stop",
        "usage": usage_of(37, 5, 42, 24),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-s6xOe50OOU7TY9DmfQySKDV7vRcrfG18",
    },
    "llama.cpp-b11549-system_and_history": {
        "message": "One colour is not a color.",
        "finish_reason": "stop",
        "usage": usage_of(37, 8, 45, 5),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-0jDyg3y6VX6FDhr6K5D4C0xOjgDJ81u4",
    },
    "llama.cpp-b11549-unicode_lone": {
        "message": "I'm here",
        "finish_reason": "length",
        "usage": usage_of(35, 3, 38, 24),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-lFfp98Su8EpCZGvQnINmtueEuyByH9sl",
    },
    "llama.cpp-b11549-wrong_model_ignored": {
        "message": "x is",
        "finish_reason": "length",
        "usage": usage_of(31, 2, 33, 30),
        "served_model": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "id": "chatcmpl-IXsmgSG9qyDgxKdUnLW5DKsX7OrGQlCu",
    },
    "vllm-0.32.0-empty_stop_first": {
        "message": "I",
        "finish_reason": "length",
        "usage": usage_of(33, 1, 34),
        "served_model": "smollm2",
        "id": "chatcmpl-b1fc946359d3bb2b",
    },
    "vllm-0.32.0-json_schema": {
        "message": '{\n  "capital":\n    "capi-ta-l"\n  }',
        "finish_reason": "stop",
        "usage": usage_of(35, 20, 55),
        "served_model": "smollm2",
        "id": "chatcmpl-82ae54f2fee32b87",
    },
    "vllm-0.32.0-logprobs_emoji": {
        "message": "🦊🌍 Café in Tokyo.",
        "finish_reason": "stop",
        "usage": usage_of(45, 12, 57),
        "served_model": "smollm2",
        "id": "chatcmpl-a9dfde7ed8b71103",
    },
    "vllm-0.32.0-logprobs_top0": {
        "message": "The answer to this classic math",
        "finish_reason": "length",
        "usage": usage_of(37, 6, 43),
        "served_model": "smollm2",
        "id": "chatcmpl-9c82c1b4f0ae61c3",
    },
    "vllm-0.32.0-logprobs_top1_hot": {
        "message": "'Throughner' sed SE True Match  Staymnestedion hurdle",
        "finish_reason": "length",
        "usage": usage_of(36, 16, 52),
        "served_model": "smollm2",
        "id": "chatcmpl-82be98bb6acc5ba6",
    },
    "vllm-0.32.0-logprobs_top5_greedy": {
        "message": "The answer to this classic math problem is 4.",
        "finish_reason": "stop",
        "usage": usage_of(37, 12, 49),
        "served_model": "smollm2",
        "id": "chatcmpl-a2e03c0895db4fcc",
    },
    "vllm-0.32.0-null_penalty_accepted": {
        "message": "Positivity",
        "finish_reason": "length",
        "usage": usage_of(31, 2, 33),
        "served_model": "smollm2",
        "id": "chatcmpl-a358e1805ef3c13b",
    },
    "vllm-0.32.0-plain": {
        "message": "The capital of France is Paris.",
        "finish_reason": "stop",
        "usage": usage_of(37, 8, 45),
        "served_model": "smollm2",
        "id": "chatcmpl-8acc7ed326aa89b2",
    },
    "vllm-0.32.0-stop_sequence": {
        "message": "One: 1\nTwo: 2\nThree: 3",
        "finish_reason": "stop",
        "usage": usage_of(37, 15, 52),
        "served_model": "smollm2",
        "id": "chatcmpl-a57d1e5cbed82f62",
    },
    "vllm-0.32.0-system_and_history": {
        "message": "One colour is not a word.",
        "finish_reason": "stop",
        "usage": usage_of(37, 8, 45),
        "served_model": "smollm2",
        "id": "chatcmpl-bcbbb6c350e80dc4",
    },
    "vllm-0.32.0-unicode_lone": {
        "message": "I'm here",
        "finish_reason": "length",
        "usage": usage_of(35, 3, 38),
        "served_model": "smollm2",
        "id": "chatcmpl-a2b582ce944ee655",
    },
}

# Name, and the tokens' texts in their order.
TOKENS = {
    "llama.cpp-b11549-logprobs_emoji": "🦊|🌍| Caf|é| in| Tokyo|.|",
    "llama.cpp-b11549-logprobs_top0": "The| answer| to| this| classic| math",
    "llama.cpp-b11549-logprobs_top5_greedy": (
        "The| answer| to| this| classic| math| problem| is| |4|.|"
    ),
    "vllm-0.32.0-logprobs_emoji": "||🦊|||🌍| Caf|é| in| Tokyo|.|<|im_end|>",
    "vllm-0.32.0-logprobs_top0": "The| answer| to| this| classic| math",
    "vllm-0.32.0-logprobs_top5_greedy": (
        "The| answer| to| this| classic| math| problem| is| |4|.|<|im_end|>"
    ),
}

# Sampled token, its log probability, and the only alternative that was listed.
LLAMA_HOT = [
    ("In", -1.220430612564087, "In"),
    (" the", -1.7526410818099976, " twilight"),
    (" twilight", -2.177424669265747, " realm"),
    (",", -2.919804334640503, " of"),
    (" where", -0.8511196970939636, " where"),
    (" shadows", -0.1522226184606552, " shadows"),
    (" are", -3.62005352973938, " play"),
    (" lost", -4.408418655395508, " born"),
    (",", -0.1668853759765625, ","),
    (" a", -3.0987002849578857, "\n"),
    (" world", -4.6438703536987305, " poem"),
    (" lies", -2.9330666065216064, " of"),
    (" unseen", -3.9083850383758545, ","),
    (",", -0.29868966341018677, ","),
    ("\n", -1.1198986768722534, " a"),
    ("The", -2.630854368209839, "A"),
]
VLLM_HOT = [
    ("'", -8.25246810913086, "'"),
    ("Through", -5.122482776641846, "Through"),
    ("ner", -14.512158393859863, "ner"),
    ("'", -2.1775810718536377, "'"),
    (" sed", -8.614766120910645, " sed"),
    (" SE", -14.068482398986816, " SE"),
    (" True", -10.049724578857422, " True"),
    (" Match", -11.265759468078613, " Match"),
    (" ", -3.613807439804077, " "),
    (" Stay", -13.202409744262695, " Stay"),
    ("m", -8.120153427124023, "m"),
    ("nested", -12.377642631530762, "nested"),
    ("ion", -9.703880310058594, "ion"),
    (" hurdle", -16.46257781982422, " hurdle"),
    ("", -12.218453407287598, ""),
    ("", -2.0890538692474365, ""),
]


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_answer(name: str) -> None:
    """The answer of a real server is read without mending."""
    completion = read_capture(name)
    says = CAPTURED[name]
    assert {field: getattr(completion, field) for field in says} == says
    assert completion.model == "asked-model"
    assert completion.timing == TIMING
    assert completion.choices[0].raw_finish_reason == says["finish_reason"]
    assert completion.body_warnings == ()
    assert (completion.log_probs is None) == ("logprobs" not in name)
    assert completion.raw_bytes == capture(name)["body"].encode()


def test_every_captured_answer_is_tested() -> None:
    """No captured answer is left without its values."""
    answered = [
        name for name in captures() if "-error_" not in name and "-stream" not in name
    ]
    assert answered == sorted(CAPTURED)


@pytest.mark.parametrize("name", TOKENS)
def test_captured_tokens(name: str) -> None:
    """The sampled tokens of a real answer come in their order, each with its number."""
    expected = TOKENS[name].replace("<|im_end|>", "<im_end>").split("|")
    tokens = read_capture(name).token_log_probs
    assert tokens is not None
    texts = [token.token.replace("<|im_end|>", "<im_end>") for token in tokens]
    assert texts == expected
    assert all(token.log_prob is not None and token.log_prob < 0 for token in tokens)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama.cpp-b11549-logprobs_top1_hot", LLAMA_HOT),
        ("vllm-0.32.0-logprobs_top1_hot", VLLM_HOT),
    ],
)
def test_sampled_token_is_not_the_likeliest(
    name: str, expected: list[tuple[str, float, str]]
) -> None:
    """The tokens are those that were sampled, with their own log probabilities."""
    completion = read_capture(name)
    sampled, alternatives = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert alternatives is not None
    assert "".join(token.token for token in sampled) == completion.message
    assert [token.token for token in sampled] == [row[0] for row in expected]
    assert [token.log_prob for token in sampled] == [row[1] for row in expected]
    assert [[token.token for token in tokens] for tokens in alternatives] == [
        [row[2]] for row in expected
    ]


def test_captured_alternatives() -> None:
    """The alternatives of a real answer are all there, most likely first."""
    alternatives = read_capture(
        "llama.cpp-b11549-logprobs_top5_greedy"
    ).full_token_log_probs
    assert alternatives is not None
    assert [len(tokens) for tokens in alternatives] == [5] * 12
    assert alternatives[0] == [
        TokenLogProb("The", -1.5308111906051636, b"The", 504),
        TokenLogProb("2", -2.4108543395996094, b"2", 34),
        TokenLogProb("Two", -2.5030899047851562, b"Two", 10345),
        TokenLogProb("A", -2.522001266479492, b"A", 49),
        TokenLogProb("This", -3.077838897705078, b"This", 1348),
    ]


def test_bytes_are_the_servers() -> None:
    """Bytes are those of the server, even if its text is a replacement character."""
    completion = read_capture("llama.cpp-b11549-logprobs_emoji")
    sampled, alternatives = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert alternatives is not None
    assert sampled[0] == TokenLogProb("🦊", -0.0904802456498146, "🦊".encode(), 228)
    assert alternatives[0][0] == TokenLogProb("\ufffd", -0.0904802456498146, b"\x8a", 228)
    vllm = read_capture("vllm-0.32.0-logprobs_emoji").token_log_probs
    assert vllm is not None
    assert vllm[0] == TokenLogProb("", -1.8660186529159546, b"")


# The snippets of a catalogue of what endpoints send: number, body, and what the
# completion says.
USAGE_2 = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
READ_2 = Usage(prompt_tokens=9, completion_tokens=2, total_tokens=11)
SNIPPETS: list[tuple[str, Any, dict[str, Any]]] = [
    (
        "A1-openai",
        {
            "id": "chatcmpl-..",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-..",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Hi",
                        "refusal": None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 8,
                "completion_tokens": 2,
                "total_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": None,
        },
        {
            "message": "Hi",
            "finish_reason": "stop",
            "id": "chatcmpl-..",
            "served_model": "gpt-..",
            "usage": Usage(
                prompt_tokens=8, completion_tokens=2, total_tokens=10, reasoning_tokens=0
            ),
        },
    ),
    (
        "A2-refusal",
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "refusal": "I can't help.",
                    },
                    "logprobs": {
                        "content": None,
                        "refusal": [
                            {
                                "token": "I",
                                "logprob": -0.1,
                                "bytes": [73],
                                "top_logprobs": [],
                            }
                        ],
                    },
                    "finish_reason": "stop",
                }
            ]
        },
        {
            "message": "",
            "refusal": "I can't help.",
            "token_log_probs": [TokenLogProb("I", -0.1, b"I")],
            "full_token_log_probs": [[]],
            "warnings": (
                ResponseWarning(
                    WarningCode.TEXT_MISMATCH,
                    "$.choices[0].logprobs.refusal",
                    "the tokens join to another text than the answer",
                ),
            ),
        },
    ),
    (
        "A3-tool-call",
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "function",
                                "function": {"name": "f", "arguments": '{"a":'},
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ]
        },
        {"message": "", "finish_reason": "tool_calls"},
    ),
    (
        "A3-tool-call-without-content",
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "function_call": {"name": "f", "arguments": ""},
                    },
                    "finish_reason": "function_call",
                }
            ]
        },
        {"message": "", "finish_reason": "function_call"},
    ),
    (
        "A4-vllm-reasoning",
        {
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "refusal": None,
                        "annotations": None,
                        "audio": None,
                        "function_call": None,
                        "reasoning": "..think..",
                    },
                    "logprobs": None,
                    "finish_reason": "length",
                    "stop_reason": None,
                    "token_ids": None,
                }
            ],
            "usage": {
                "prompt_tokens": 9,
                "total_tokens": 29,
                "completion_tokens": None,
                "prompt_tokens_details": None,
            },
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "kv_transfer_params": None,
            "metrics": None,
        },
        {
            "message": "",
            "reasoning": "..think..",
            "finish_reason": "length",
            "usage": Usage(prompt_tokens=9, total_tokens=29),
        },
    ),
    (
        "A5-sglang",
        {
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "4",
                        "reasoning_content": "..",
                        "tool_calls": None,
                    },
                    "logprobs": None,
                    "finish_reason": "abort",
                    "matched_stop": 151645,
                }
            ],
            "usage": USAGE_2 | {"prompt_tokens_details": None, "reasoning_tokens": 0},
            "metadata": {"weight_version": "default"},
        },
        {
            "message": "4",
            "reasoning": "..",
            "finish_reason": "abort",
            "warnings": (failed_finish(),),
            "usage": attrs.evolve(READ_2, reasoning_tokens=0),
        },
    ),
    (
        "A6-ollama",
        {
            "id": "chatcmpl-581",
            "object": "chat.completion",
            "created": 1,
            "model": "qwen3",
            "system_fingerprint": "fp_ollama",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "", "reasoning": ".."},
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE_2,
        },
        {"message": "", "reasoning": "..", "served_model": "qwen3", "usage": READ_2},
    ),
    (
        "A7-llama.cpp",
        {
            "choices": [
                {
                    "finish_reason": "stop",
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "reasoning_content": "..",
                        "content": "4",
                    },
                }
            ],
            "created": 1,
            "model": "x",
            "system_fingerprint": "b9038-..",
            "object": "chat.completion",
            "usage": USAGE_2,
            "id": "chatcmpl-..",
            "timings": {"prompt_n": 9, "predicted_per_second": 41.2},
            "__verbose": {"content": "4"},
        },
        {"message": "4", "reasoning": "..", "id": "chatcmpl-..", "served_model": "x"},
    ),
    (
        "A8-openrouter",
        {
            "id": "gen-..",
            "provider": "Together",
            "model": "a/b",
            "choices": [
                {
                    "finish_reason": "stop",
                    "native_finish_reason": "eos",
                    "message": {
                        "role": "assistant",
                        "content": "4",
                        "reasoning": None,
                        "refusal": None,
                    },
                }
            ],
            "usage": USAGE_2 | {"cost": 0.00001},
        },
        {"message": "4", "reasoning": None, "served_model": "a/b", "usage": READ_2},
    ),
    (
        "A9-azure",
        {
            "choices": [
                {
                    "content_filter_results": {
                        "hate": {"filtered": False, "severity": "safe"}
                    },
                    "finish_reason": "content_filter",
                    "index": 0,
                    "message": {"role": "assistant"},
                }
            ],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
            "model": "gpt-4o-2024-11-20",
        },
        {
            "message": "",
            "finish_reason": "content_filter",
            "served_model": "gpt-4o-2024-11-20",
        },
    ),
    (
        "A9-azure-empty",
        body_of("", finish_reason="content_filter"),
        {"message": "", "finish_reason": "content_filter"},
    ),
    (
        "A10-gemini",
        {
            "choices": [{"finish_reason": "length", "index": 0}],
            "usage": {"prompt_tokens": 12, "total_tokens": 512},
            "model": "gemini-..",
        },
        {
            "message": "",
            "finish_reason": "length",
            "usage": Usage(prompt_tokens=12, total_tokens=512),
            "warnings": (
                ResponseWarning(
                    WarningCode.BODY_MENDED,
                    "$.choices[0].message",
                    "expected an object, found nothing",
                ),
            ),
        },
    ),
    (
        "A11-mistral",
        {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "content": [
                            {
                                "type": "thinking",
                                "thinking": [{"type": "text", "text": ".."}],
                            },
                            {"type": "text", "text": "4"},
                        ],
                    },
                    "finish_reason": "insufficient_system_resource",
                }
            ]
        },
        {
            "message": "4",
            "reasoning": "..",
            "finish_reason": "insufficient_system_resource",
            "warnings": (
                ResponseWarning(
                    WarningCode.BODY_MENDED,
                    "$.choices[0].message.content",
                    "expected text, found a list",
                ),
                failed_finish(),
            ),
        },
    ),
    (
        "A12-deepseek-blank-lines",
        "\n\n\n\n" + json.dumps({"id": "..", **body_of("4")}),
        {"message": "4", "id": ".."},
    ),
    ("A13-usage-null", {**body_of("4"), "usage": None}, {"message": "4", "usage": None}),
    ("A13-usage-empty", {**body_of("4"), "usage": {}}, {"usage": Usage()}),
    (
        "A13-usage-zero",
        {**body_of("4"), "usage": 0},
        {
            "message": "4",
            "warnings": (
                ResponseWarning(
                    WarningCode.BODY_MENDED, "$.usage", "expected an object, found a number"
                ),
            ),
        },
    ),
    (
        "A13-usage-text",
        {**body_of("4"), "usage": {"prompt_tokens": "9"}},
        {
            "message": "4",
            "usage": Usage(prompt_tokens=9),
            "warnings": (
                ResponseWarning(
                    WarningCode.BODY_MENDED,
                    "$.usage.prompt_tokens",
                    "expected a count, found text",
                ),
            ),
        },
    ),
    (
        "A13-empty-names",
        {**body_of("4", finish_reason=""), "id": "", "created": 0.5, "object": ""},
        {"message": "4", "finish_reason": None},
    ),
    (
        "A13-text-completion",
        {**body_of("4", finish_reason="eos"), "created": 0, "object": "text_completion"},
        {"message": "4", "finish_reason": "stop"},
    ),
]


@pytest.mark.parametrize(
    ("body", "says"), [row[1:] for row in SNIPPETS], ids=[row[0] for row in SNIPPETS]
)
def test_snippet(body: Any, says: dict[str, Any]) -> None:
    """The answer is found in a body of any shape."""
    completion = read(body)
    values = {name: getattr(completion, name) for name in says}
    assert values == says
    assert completion.warnings == says.get("warnings", ())


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        ({"choices": []}, "$.choices", "expected at least one choice, found none"),
        ({"choices": None}, "$.choices", "expected a list of choices, found nothing"),
        ({}, "$.choices", "expected a list of choices, found nothing"),
        ({"choices": "4"}, "$.choices", "expected a list of choices, found text"),
        ({"choices": {}}, "$.choices", "expected a list of choices, found an object"),
        ([], "$", "expected a JSON object, found a list"),
        (None, "$", "expected a JSON object, found nothing"),
        (True, "$", "expected a JSON object, found a truth value"),
        (b'"4"', "$", "expected a JSON object, found text"),
        (b"4", "$", "expected a JSON object, found a number"),
        (b"", "$", "expected a JSON object, found no JSON"),
        (b"<html>", "$", "expected a JSON object, found no JSON"),
        (b'{"choices":', "$", "expected a JSON object, found no JSON"),
        (b"[" * 100_000, "$", "expected a JSON object, found no JSON"),
    ],
    ids=[
        *("A13-choices-empty", "A13-choices-null", "A13-choices-absent"),
        *("text-choices", "object-choices", "list", "null", "true", "text", "number"),
        *("nothing", "html", "cut", "deep"),
    ],
)
def test_no_answer(body: Any, path: str, problem: str) -> None:
    """A success without an answer is an error with the path where it should be."""
    with pytest.raises(ResponseError) as caught:
        read(body, 201, headers={"request-id": "req-1"})
    error = caught.value
    assert (error.problem, error.path, error.status) == (problem, path, 201)
    assert error.request_id == "req-1"
    assert error.body == (body if isinstance(body, bytes) else json.dumps(body).encode())


def test_no_answer_shows_its_start_without_secrets() -> None:
    """The start of a body that is no answer is shown, but no key and no prompt."""
    with pytest.raises(ResponseError) as caught:
        read("<html>\n\x1b[2J my secret plan " + "x" * 300, secrets=["my secret plan"])
    assert caught.value.reason.startswith("<html> ␛[2J *** xxx")
    assert len(caught.value.reason) == 200
    assert "secret" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("absent", [None, [], {}, "", False])
def test_error_that_is_none(absent: object) -> None:
    """An empty error beside an answer is no error."""
    assert read({**body_of("4", error=absent), "error": absent}).message == "4"
    odd = {**body_of("4", error=absent), "error": absent, "id": 5}
    assert read(odd).message == "4"


@pytest.mark.parametrize("error", [{"message": "no"}, "no", ["no"], 5, True])
def test_error_beside_an_answer(error: object) -> None:
    """An answer that comes with an error is not to be trusted."""
    with pytest.raises(StatusError):
        read({**body_of("4"), "error": error})
    with pytest.raises(StatusError):
        read({**body_of("4"), "error": error, "id": 5})
    with pytest.raises(StatusError):
        read(body_of("4", error=error))
    with pytest.raises(StatusError):
        read({**body_of("4", error=error), "id": 5})


@pytest.mark.parametrize("status", [199, 300, 302, 404, 500])
def test_only_a_success_is_an_answer(status: int) -> None:
    """A body that looks like an answer is an error under another status."""
    with pytest.raises(StatusError) as caught:
        read(body_of("4"), status)
    assert caught.value.status == status


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_success_is_an_answer(status: int) -> None:
    """Every 2xx status may carry an answer."""
    assert read(body_of("4"), status).message == "4"


def test_several_choices() -> None:
    """Each of several choices keeps its index, its reason and its tokens."""
    body = {
        "choices": [
            {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
            {
                "index": 0,
                "message": {"content": "a"},
                "logprobs": {"content": [{"token": "a", "logprob": -1}]},
            },
        ]
    }
    first, second = read(body).choices
    assert (first.index, first.message, first.finish_reason) == (1, "b", "length")
    assert (second.index, second.message, second.finish_reason) == (0, "a", None)
    assert first.log_probs is None
    assert second.log_probs is not None
    assert second.log_probs.sampled == [TokenLogProb("a", -1.0)]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        *((name, name) for name in ("stop", "length", "tool_calls", "function_call")),
        ("content_filter", "content_filter"),
        *((name, "stop") for name in ("eos", "eos_token", "stop_sequence", "end_turn")),
        ("STOP", "stop"),
        *((name, "length") for name in ("model_length", "max_tokens", "MAX_TOKENS")),
        ("SAFETY", "content_filter"),
        *((name, name) for name in ("abort", "repetition", "error", "a new word")),
        ("insufficient_system_resource", "insufficient_system_resource"),
        ("", None),
        (None, None),
    ],
)
def test_finish_reason(raw: str | None, reason: str | None) -> None:
    """The reason has OpenAI's name if there is one; the raw reason is the server's."""
    (choice,) = read(body_of("4", finish_reason=raw)).choices
    assert (choice.finish_reason, choice.raw_finish_reason) == (reason, raw)


def test_reasoning_sources() -> None:
    """The reasoning under the newest name counts, unless it is empty."""
    message: dict[str, Any] = {
        "content": [{"thinking": "parts"}, {"text": "4"}],
        "reasoning": "new",
        "reasoning_content": "old",
        "reasoning_details": [{"text": "details"}],
    }
    expected = [
        ("new", "reasoning"),
        ("old", "reasoning_content"),
        ("details", "reasoning_details"),
        ("parts", "content"),
        (None, None),
    ]
    reasonings = []
    for name, nothing in [
        ("reasoning", ""),
        ("reasoning_content", ""),
        ("reasoning_details", [{"type": "reasoning.encrypted", "data": "eyJ"}]),
        ("content", "4"),
        ("role", "assistant"),
    ]:
        (choice,) = read({"choices": [{"message": message}]}).choices
        reasonings.append((choice.reasoning, choice.reasoning_source))
        message[name] = nothing
    assert reasonings == expected


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": []},
        {"content": {}, "refusal": []},
        {"content": None, "tokens": []},
    ],
    ids=[
        *("B1-null", "B1-empty", "B1-content-null", "B1-content-empty"),
        *("B1-content-object", "B1-legacy-empty"),
    ],
)
def test_log_probs_that_did_not_come(logprobs: object) -> None:
    """Log probabilities that were asked for and did not come leave a warning."""
    completion = read(body_of("4", logprobs=logprobs), asks_log_probs=True)
    assert completion.log_probs is None
    assert completion.token_log_probs is None
    (warning,) = completion.warnings
    assert warning.code == WarningCode.LOG_PROBS_MISSING
    assert str(warning) == (
        "log probabilities were asked for, and none came "
        "(at `$.choices[0].logprobs`; log-probs-missing)"
    )


def test_log_probs_that_nobody_asked_for() -> None:
    """Without a question there is nothing missing."""
    assert read(body_of("4", logprobs=None)).warnings == ()


def test_request_id_of_an_answer() -> None:
    """A completion has the request id of its response."""
    headers = {"x-request-id": "req-1"}
    assert read(body_of("4"), headers=headers).request_id == "req-1"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"token": "a", "logprob": -1}, TokenLogProb("a", -1.0)),
        ({"token": "a", "logprob": None}, TokenLogProb("a", None)),
        ({"token": "a"}, TokenLogProb("a", None)),
        ({"token": "a", "bytes": None}, TokenLogProb("a", None)),
        ({"token": "", "logprob": -1, "bytes": []}, TokenLogProb("", -1.0, b"")),
        ({"token": "a", "logprob": -9999.0}, TokenLogProb("a", -math.inf)),
        ({"token": "a", "logprob": 1e-7, "id": 0}, TokenLogProb("a", 1e-7, None, 0)),
        ({"token": "a", "logprob": "-0.5"}, TokenLogProb("a", -0.5)),
        ({"token": "a", "logprob": -math.inf}, TokenLogProb("a", -math.inf)),
        ({"token": "a", "logprob": math.nan}, TokenLogProb("a", None)),
        ({"token": "\ud83e", "logprob": -1}, TokenLogProb("\ufffd", -1.0)),
        ({"token": "a", "logprob": -1, "bytes": "a"}, TokenLogProb("a", -1.0)),
        ({"token": "a", "logprob": -1, "id": "7"}, TokenLogProb("a", -1.0)),
    ],
)
def test_odd_log_probs(entry: dict[str, Any], expected: TokenLogProb) -> None:
    """An odd value of a token is left out, and its other values are kept."""
    content = [{"token": "x", "logprob": -2}, {**entry, "top_logprobs": [entry]}]
    completion = read(body_of("xa", logprobs={"content": content}))
    assert completion.token_log_probs == [TokenLogProb("x", -2.0), expected]
    assert completion.full_token_log_probs == [[], [expected]]


@pytest.mark.parametrize("content", ["tokens", 5, True, {"tokens": []}])
def test_log_probs_that_are_no_list(content: object) -> None:
    """Log probabilities in a shape that is not known hold no token, and do no harm."""
    completion = read(body_of("4", logprobs={"content": content}))
    assert completion.token_log_probs == []
    assert completion.full_token_log_probs == []


PLAIN_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
# No name of OpenAI's, Azure's or another server's begins with a capital X.
UNKNOWN = st.dictionaries(st.text(max_size=8).map("X".__add__), PLAIN_JSON, max_size=3)


@given(extra=st.lists(UNKNOWN, min_size=7, max_size=7))
@example(extra=[{"X": math.nan}] * 7)
@example(extra=[{"X": 10**30}] * 7)
def test_unknown_fields_do_not_matter(extra: list[dict[str, Any]]) -> None:
    """Fields that limin does not know, of any kind and anywhere, change nothing."""
    body = {
        "choices": [
            {
                "message": {"content": "4"} | extra[0],
                "finish_reason": "stop",
                "logprobs": {
                    "content": [
                        {
                            "token": "4",
                            "logprob": -0.5,
                            "top_logprobs": [{"token": "4", "logprob": -0.5} | extra[1]],
                        }
                        | extra[2]
                    ]
                }
                | extra[3],
            }
            | extra[4]
        ],
        "usage": {"prompt_tokens": 1} | extra[5],
        "model": "m",
    } | extra[6]
    completion = read(body)
    assert completion.message == "4"
    assert completion.finish_reason == "stop"
    assert completion.usage == Usage(prompt_tokens=1)
    assert completion.served_model == "m"
    assert completion.token_log_probs == [TokenLogProb("4", -0.5)]
    assert completion.full_token_log_probs == [[TokenLogProb("4", -0.5)]]
    assert completion.warnings == ()


@given(body=st.binary(max_size=300))
@example(body=b'{"choices": [{"message": {"content": "\xff"}}]}')
@example(body=b"\xef\xbb\xbf{}")
def test_bytes_never_surprise(body: bytes) -> None:
    """Whatever bytes come, they are an answer or a `LiminError`."""
    look_at_everything(body)


NAMES = st.sampled_from(
    [
        *("choices", "error", "message", "content", "logprobs", "refusal", "reasoning"),
        *("token", "logprob", "bytes", "top_logprobs", "id", "usage", "prompt_tokens"),
        *("prompt_tokens_details", "cached_tokens", "model", "index", "finish_reason"),
        *("type", "text", "thinking", "reasoning_content", "reasoning_details", "summary"),
        *("tokens", "token_logprobs", "prob", "top_probs", "prompt_logprobs"),
        *("decoded_token", "785"),
    ]
)
BYTES = st.lists(st.integers(0, 255), max_size=3)
NAMED_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(
    message=NAMED_JSON,
    entries=st.lists(st.dictionaries(NAMES, NAMED_JSON | BYTES), max_size=3),
    fields=st.dictionaries(NAMES, NAMED_JSON, max_size=3),
)
def test_shapes_never_surprise(
    message: object, entries: list[dict[str, Any]], fields: dict[str, Any]
) -> None:
    """Whatever shape the known fields have, limin answers or raises a `LiminError`."""
    choice = {"message": message, "logprobs": {"content": entries}}
    look_at_everything(json.dumps({"choices": [choice], **fields}).encode())


def test_control_character_in_the_answer() -> None:
    """A raw control character inside a string does not cost the answer."""
    assert read(b'{"choices":[{"message":{"content":"a\x01b"}}]}').message == "a\x01b"


def test_context_does_not_show_its_secrets() -> None:
    """It is a local variable in the tracebacks of many errors."""
    conversation = Conversation.from_prompts("hi")
    context = ReadingContext(conversation=conversation, model="m", secrets=("sk-secret",))
    assert repr(context) == f"ReadingContext({conversation!r}, model='m')"
