"""Log probabilities as servers send them, by the numbers of a catalogue, B1 to B19."""

import json
import math
from typing import Any

import msgspec
import pytest
from builders import body_of, capture, read, read_capture

from limin.values.log_probs import Entry, Position
from limin.values.tokens import TokenLogProb, TokenPosition
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.log_probs import (
    read_legacy_positions,
    read_positions,
    read_prompt_positions,
)

INFINITY = math.inf
LOWEST = -3.4028234663852886e38

CONTENT = "$.choices[0].logprobs.content"


def entry(*fields: Any) -> TokenLogProb:
    """A token: text, log probability, bytes, id."""
    return TokenLogProb(*fields)


def at(sampled: TokenLogProb, *alternatives: TokenLogProb) -> TokenPosition:
    """A position."""
    return TokenPosition(sampled=sampled, alternatives=alternatives)


# Number, the answer, its positions as JSON, how many alternatives were asked for, what
# is read, and the codes of what is odd about it.
CATALOGUE: list[tuple[str, str, str, int | None, list[TokenPosition], list[str]]] = [
    (
        "B2-openai-none-asked",
        "Hello",
        (
            '[{"token":"Hello","logprob":-0.0009,"bytes":[72,101,108,108,111],'
            '"top_logprobs":[]}]'
        ),
        0,
        [at(entry("Hello", -0.0009, b"Hello"))],
        [],
    ),
    (
        "B2-null",
        "Hello",
        '[{"token":"Hello","logprob":-0.0009,"bytes":null,"top_logprobs":null}]',
        0,
        [at(entry("Hello", -0.0009))],
        [],
    ),
    (
        "B2-ollama-absent",
        "Hello",
        '[{"token":"Hello","logprob":-0.0009}]',
        2,
        [at(entry("Hello", -0.0009))],
        ["fewer-alternatives"],
    ),
    (
        "B3-openai-sampled-not-listed",
        "Par",
        (
            '[{"token":"Par","logprob":-2.3,"bytes":[80,97,114],"top_logprobs":['
            '{"token":"Lon","logprob":-0.1,"bytes":[76,111,110]},'
            '{"token":"Rom","logprob":-2.4,"bytes":[82,111,109]}]}]'
        ),
        2,
        [
            at(
                entry("Par", -2.3, b"Par"),
                entry("Lon", -0.1, b"Lon"),
                entry("Rom", -2.4, b"Rom"),
            )
        ],
        ["sampled-not-listed"],
    ),
    (
        "B3-openai-sampled-not-first",
        "Rom",
        (
            '[{"token":"Rom","logprob":-2.4,"top_logprobs":['
            '{"token":"Lon","logprob":-0.1},{"token":"Rom","logprob":-2.4}]}]'
        ),
        2,
        [at(entry("Rom", -2.4), entry("Lon", -0.1), entry("Rom", -2.4))],
        [],
    ),
    (
        "B4-vllm-sampled-first",
        "x",
        (
            '[{"token":"x","logprob":-6.1,"top_logprobs":[{"token":"x","logprob":-6.1},'
            '{"token":"a","logprob":-0.2},{"token":"b","logprob":-2.0}]}]'
        ),
        3,
        [at(entry("x", -6.1), entry("a", -0.2), entry("b", -2.0), entry("x", -6.1))],
        [],
    ),
    (
        "B5-vllm-keys-missing",
        "ab",
        '[{"token":"ab","bytes":[97,98]}]',
        None,
        [at(entry("ab", None, b"ab"))],
        ["log-prob-unknown"],
    ),
    (
        "B5-vllm-one-without",
        "abc",
        (
            '[{"token":"ab","bytes":[97,98]},{"token":"c","logprob":-1.0,"bytes":[99],'
            '"top_logprobs":[]}]'
        ),
        None,
        [at(entry("ab", None, b"ab")), at(entry("c", -1.0, b"c"))],
        ["log-prob-unknown"],
    ),
    (
        "B6-openai-9999",
        "a",
        '[{"token":"a","logprob":-9999.0,"bytes":[97]}]',
        None,
        [at(entry("a", -INFINITY, b"a"))],
        ["log-prob-sentinel"],
    ),
    (
        "B6-llama.cpp-lowest",
        "a",
        (
            '[{"token":"a","logprob":-3.4028234663852886e+38,"top_logprobs":['
            '{"token":"b","logprob":-0.5},{"token":"a","logprob":-3.4028234663852886e+38}]}]'
        ),
        2,
        [at(entry("a", -INFINITY), entry("b", -0.5), entry("a", -INFINITY))],
        ["log-prob-sentinel"],
    ),
    (
        "B6-mlx-100-is-a-number",
        "a",
        '[{"token":"a","logprob":-100}]',
        None,
        [at(entry("a", -100.0))],
        [],
    ),
    (
        "B6-null",
        "a",
        '[{"token":"a","logprob":null}]',
        None,
        [at(entry("a", None))],
        ["log-prob-unknown"],
    ),
    (
        "B6-python-infinity",
        "a",
        '[{"token":"a","logprob":-Infinity}]',
        None,
        [at(entry("a", -INFINITY))],
        [],
    ),
    (
        "B6-python-nan",
        "ab",
        '[{"token":"a","logprob":NaN,"top_logprobs":[]},{"token":"b","logprob":-1}]',
        None,
        [at(entry("a", None)), at(entry("b", -1.0))],
        ["body-mended", "log-prob-unknown"],
    ),
    (
        "B7-openai-escaped",
        "\N{THINKING FACE}",
        (
            '[{"token":"\\\\xf0\\\\x9f\\\\xa4","logprob":-0.02,"bytes":[240,159,164],'
            '"top_logprobs":[]},{"token":"\\\\x94","logprob":-0.01,"bytes":[148]}]'
        ),
        None,
        [
            at(entry("\\xf0\\x9f\\xa4", -0.02, b"\xf0\x9f\xa4")),
            at(entry("\\x94", -0.01, b"\x94")),
        ],
        [],
    ),
    (
        "B7-ollama",
        "\ufffd",
        '[{"token":"\ufffd","logprob":-0.026,"bytes":[239,191,189]}]',
        None,
        [at(entry("\ufffd", -0.026))],
        ["replacement-character"],
    ),
    (
        "B7-text-without-bytes",
        "a\ufffd",
        '[{"token":"a\ufffd","logprob":-0.026}]',
        None,
        [at(entry("a\ufffd", -0.026))],
        ["replacement-character"],
    ),
    (
        "B7-llama.cpp-true-bytes",
        "\N{FOX FACE}",
        (
            '[{"token":"","logprob":-0.03,"bytes":[240,159],"id":9468,"top_logprobs":['
            '{"id":9468,"token":"","bytes":[240,159],"logprob":-0.03}]},'
            '{"token":"\ufffd","logprob":-0.04,"bytes":[166,138],"id":7,"top_logprobs":['
            '{"id":7,"token":"\ufffd","bytes":[166,138],"logprob":-0.04}]}]'
        ),
        1,
        [
            at(
                entry("", -0.03, b"\xf0\x9f", 9468),
                entry("", -0.03, b"\xf0\x9f", 9468),
            ),
            at(
                entry("\ufffd", -0.04, b"\xa6\x8a", 7),
                entry("\ufffd", -0.04, b"\xa6\x8a", 7),
            ),
        ],
        [],
    ),
    (
        "B7-vllm-empty-until-whole",
        "\N{FOX FACE}",
        (
            '[{"token":"","logprob":-1.5,"bytes":[]},'
            '{"token":"\N{FOX FACE}","logprob":-0.5,"bytes":[240,159,166,138]}]'
        ),
        None,
        [at(entry("", -1.5, b"")), at(entry("\N{FOX FACE}", -0.5, b"\xf0\x9f\xa6\x8a"))],
        [],
    ),
    (
        "B8-null",
        "\N{LATIN SMALL LETTER E WITH ACUTE}",
        '[{"token":"\N{LATIN SMALL LETTER E WITH ACUTE}","logprob":-0.5,"bytes":null}]',
        None,
        [at(entry("\N{LATIN SMALL LETTER E WITH ACUTE}", -0.5))],
        [],
    ),
    (
        "B8-code-points",
        "\N{EURO SIGN}",
        '[{"token":"\N{EURO SIGN}","logprob":-0.5,"bytes":[8364]}]',
        None,
        [at(entry("\N{EURO SIGN}", -0.5))],
        ["body-mended"],
    ),
    (
        "B9-raw-text",
        "Hello",
        (
            '[{"token":"Hello","bytes":[72,101,108,108,111],"logprob":-5.7e-05,'
            '"top_logprobs":[{"token":"Hi","bytes":[72,105],"logprob":-9.85},'
            '{"token":"\u0120Hello","bytes":[196,160,72,101,108,108,111],"logprob":-12.19}]}]'
        ),
        2,
        [
            at(
                entry("Hello", -5.7e-05, b"Hello"),
                entry("Hi", -9.85, b"Hi"),
                entry("\u0120Hello", -12.19, b"\xc4\xa0Hello"),
            )
        ],
        ["sampled-not-listed"],
    ),
    (
        "B9-raw-space",
        " Hello\n",
        '[{"token":"\u2581Hello","logprob":-1},{"token":"<0x0A>","logprob":-2}]',
        None,
        [at(entry("\u2581Hello", -1.0)), at(entry("<0x0A>", -2.0))],
        ["text-mismatch"],
    ),
    (
        "B10-same-text-other-ids",
        "x",
        (
            '[{"token":"x","logprob":-1.5,"id":2,"top_logprobs":['
            '{"token":"x","logprob":-1.0,"id":1},{"token":"x","logprob":-1.5,"id":2}]}]'
        ),
        2,
        [
            at(
                entry("x", -1.5, None, 2),
                entry("x", -1.0, None, 1),
                entry("x", -1.5, None, 2),
            )
        ],
        [],
    ),
    (
        "B10-same-id-twice",
        "x",
        (
            '[{"token":"x","logprob":-1.5,"id":2,"top_logprobs":['
            '{"token":"x","logprob":-1.5,"id":2},{"token":"x","logprob":-1.5,"id":2}]}]'
        ),
        2,
        [
            at(
                entry("x", -1.5, None, 2),
                entry("x", -1.5, None, 2),
                entry("x", -1.5, None, 2),
            )
        ],
        [],
    ),
    (
        "B11-forced",
        "{",
        '[{"token":"{","logprob":0.0,"top_logprobs":[{"token":"{","logprob":0.0}]}]',
        5,
        [at(entry("{", 0.0), entry("{", 0.0))],
        ["fewer-alternatives"],
    ),
    (
        "B12-sglang-stale",
        "ab",
        (
            '[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"a","logprob":-0.5},'
            '{"token":"c","logprob":-2}]},'
            '{"token":"b","logprob":-0.75,"top_logprobs":[{"token":"a","logprob":-0.5},'
            '{"token":"c","logprob":-2}]}]'
        ),
        2,
        [
            at(entry("a", -0.5), entry("a", -0.5), entry("c", -2.0)),
            at(entry("b", -0.75), entry("a", -0.5), entry("c", -2.0)),
        ],
        ["sampled-not-listed", "stale-alternatives"],
    ),
    (
        "B14-llama.cpp-probabilities",
        "4",
        (
            '[{"id":1,"token":"4","bytes":[52],"prob":0.5,"top_probs":['
            '{"id":1,"token":"4","bytes":[52],"prob":0.5},'
            '{"id":2,"token":"5","bytes":[53],"prob":0.0}]}]'
        ),
        2,
        [
            at(
                entry("4", math.log(0.5), b"4", 1),
                entry("4", math.log(0.5), b"4", 1),
                entry("5", -INFINITY, b"5", 2),
            )
        ],
        ["probabilities-converted"],
    ),
    (
        "B14-no-probability",
        "4",
        '[{"token":"4","prob":-0.5},{"token":"","prob":"much"}]',
        None,
        [at(entry("4", None)), at(entry("", None))],
        ["probabilities-converted", "log-prob-unknown"],
    ),
    (
        "B15-vllm-token-ids",
        "ab",
        (
            '[{"token":"token_id:1234","logprob":-1,"bytes":[116,111],"top_logprobs":['
            '{"token":"token_id:1234","logprob":-1,"bytes":null},'
            '{"token":"token_id:5","logprob":-2,"bytes":[116]}]},'
            '{"token":"token_id:no","logprob":-1,"top_logprobs":['
            '{"token":"token_id:no","logprob":-1},{"token":"","logprob":-3}]}]'
        ),
        2,
        [
            at(
                entry("token_id:1234", -1.0, None, 1234),
                entry("token_id:1234", -1.0, None, 1234),
                entry("token_id:5", -2.0, None, 5),
            ),
            at(entry("token_id:no", -1.0), entry("token_id:no", -1.0), entry("", -3.0)),
        ],
        ["token-ids-as-text", "text-mismatch"],
    ),
    (
        "B16-rounding",
        "abc",
        '[{"token":"a","logprob":1e-7},{"token":"b","logprob":0},{"token":"c","logprob":-2}]',
        None,
        [at(entry("a", 1e-7)), at(entry("b", 0.0)), at(entry("c", -2.0))],
        [],
    ),
    (
        "B16-text",
        "a",
        '[{"token":"a","logprob":"-0.5","top_logprobs":[{"token":"a","logprob":"-0.5"}]}]',
        1,
        [at(entry("a", -0.5), entry("a", -0.5))],
        ["body-mended"],
    ),
    (
        "B17-reasoning-counted",
        "4",
        '[{"token":"<think>","logprob":-1},{"token":"4","logprob":-2}]',
        None,
        [at(entry("<think>", -1.0)), at(entry("4", -2.0))],
        ["text-mismatch"],
    ),
    (
        "B17-tool-call",
        "",
        '[{"token":"{\\"name\\"","logprob":-1}]',
        None,
        [at(entry('{"name"', -1.0))],
        ["text-mismatch"],
    ),
    (
        "B19-raw-logits",
        "a",
        (
            '[{"token":"a","logprob":17.5,"top_logprobs":[{"token":"a","logprob":17.5},'
            '{"token":"b","logprob":900.5}]}]'
        ),
        2,
        [at(entry("a", 17.5), entry("b", 900.5), entry("a", 17.5))],
        ["positive-log-prob"],
    ),
    (
        "B19-whole-vocabulary",
        "a",
        (
            '[{"token":"a","logprob":-1,"top_logprobs":[{"token":"b","logprob":-2},'
            '{"token":"a","logprob":-1}]}]'
        ),
        -1,
        [at(entry("a", -1.0), entry("a", -1.0), entry("b", -2.0))],
        [],
    ),
]


@pytest.mark.parametrize(
    ("answer", "content", "top", "positions", "codes"),
    [row[1:] for row in CATALOGUE],
    ids=[row[0] for row in CATALOGUE],
)
def test_catalogue(
    answer: str, content: str, top: int | None, positions: list[Any], codes: list[str]
) -> None:
    """Each shape of log probabilities is read, and odd ones have warnings."""
    message = json.dumps({"content": answer})
    body = f'{{"choices":[{{"message":{message},"logprobs":{{"content":{content}}}}}]}}'
    # Without a number of alternatives, limin does not know what was asked for.
    completion = read(
        body,
        asks_log_probs=top is not None,
        top_log_probs=top,
        request={"temperature": 0},
    )
    log_probs = completion.log_probs
    assert log_probs is not None
    assert list(log_probs) == positions
    assert [warning.code for warning in completion.warnings] == codes
    assert all(warning.path.startswith(CONTENT) for warning in completion.warnings)


def test_tokens_that_join_to_more_than_the_answer() -> None:
    """B17: where only reasoning or markers are too much, the warning says so."""
    log_probs = read(
        body_of(
            "4",
            logprobs={
                "content": [
                    {"token": "<think>", "logprob": -1},
                    {"token": "4", "logprob": -2},
                ]
            },
        )
    ).log_probs
    assert log_probs is not None
    assert log_probs.warnings == (
        ResponseWarning(
            WarningCode.TEXT_MISMATCH, CONTENT, "the tokens join to more than the answer"
        ),
    )


def test_emoji_of_llama_cpp() -> None:
    """B7: an entry of a three-token emoji has its bytes, its alternatives their own."""
    log_probs = read_capture("llama.cpp-b11549-logprobs_emoji").log_probs
    assert log_probs is not None
    assert log_probs[0] == at(
        entry("\N{FOX FACE}", -0.0904802456498146, b"\xf0\x9f\xa6\x8a", 228),
        entry("\ufffd", -0.0904802456498146, b"\x8a", 228),
        entry("\ufffd", -2.6223673820495605, b"\x8b", 229),
    )
    assert log_probs[0].is_listed
    assert log_probs[-1].sampled == entry("", -1.0403550863265991, b"", 2)
    assert log_probs.text() == read_capture("llama.cpp-b11549-logprobs_emoji").message
    assert log_probs.warnings == ()


def test_emoji_of_vllm() -> None:
    """B7: tokens that end inside a character are empty, and the last holds it whole."""
    log_probs = read_capture("vllm-0.32.0-logprobs_emoji").log_probs
    assert log_probs is not None
    assert [token.token_bytes for token in log_probs.sampled[:4]] == [
        *(b"", b"", b"\xf0\x9f\xa6\x8a", b"")
    ]
    assert log_probs[1] == at(
        entry("", -0.08083240687847137, b""),
        entry("", -0.08083240687847137, b""),
        entry("", -3.4558324813842773, b""),
    )


def test_hot_answer_of_llama_cpp() -> None:
    """B3: the sampled token need not be listed, and its rank is not its index."""
    log_probs = read_capture("llama.cpp-b11549-logprobs_top1_hot").log_probs
    assert log_probs is not None
    assert log_probs[1] == at(
        entry(" the", -1.7526410818099976, b" the", 260),
        entry(" twilight", -0.5140852332115173, b" twilight", 41234),
    )
    assert [position.is_listed for position in log_probs].count(False) == 11
    assert log_probs.warnings == ()


def test_hot_answer_of_vllm() -> None:
    """B4: a list with only the sampled token does not make it the likeliest."""
    log_probs = read_capture("vllm-0.32.0-logprobs_top1_hot").log_probs
    assert log_probs is not None
    assert log_probs[0] == at(
        entry("'", -8.25246810913086, b"'"), entry("'", -8.25246810913086, b"'")
    )
    assert log_probs[0].rank is None
    assert log_probs.warnings == ()


@pytest.mark.parametrize("server", ["llama.cpp-b11549", "vllm-0.32.0"])
def test_no_alternatives_were_asked_for(server: str) -> None:
    """B2: alternatives that a server adds of its own accord are left out."""
    name = f"{server}-logprobs_top0"
    completion = read_capture(name)
    assert completion.full_token_log_probs == [[]] * 6
    assert completion.warnings == ()
    elements = json.loads(capture(name)["body"])["choices"][0]["logprobs"]["content"]
    assert {len(token["top_logprobs"]) for token in elements} <= {0, 20}


@pytest.mark.parametrize(
    ("item", "position", "problems"),
    [
        ({"token": "a", "logprob": -1}, Position("a", -1.0, None, None, []), []),
        ({"token": "a", "bytes": []}, Position("a", None, [], None, []), []),
        ({"token": "a", "id": 7}, Position("a", None, None, 7, []), []),
        (
            {"token": "a", "logprob": "-1"},
            Position("a", -1.0, None, None, []),
            ["expected a log probability, found text"],
        ),
        (
            {"token": "a", "logprob": True},
            Position("a", None, None, None, []),
            ["expected a log probability, found a truth value"],
        ),
        (
            {"token": "a", "logprob": [-1]},
            Position("a", None, None, None, []),
            ["expected a log probability, found a list"],
        ),
        (
            {"token": "a", "logprob": 10**400},
            Position("a", None, None, None, []),
            ["expected a log probability, found not a number (NaN)"],
        ),
        (
            {"token": "a", "logprob": math.nan},
            Position("a", None, None, None, []),
            ["expected a log probability, found not a number (NaN)"],
        ),
        (
            {"token": 5, "logprob": -1},
            Position("", -1.0, None, 5, []),
            ["the tokens have ids and no text"],
        ),
        (
            {"token": -5, "logprob": -1},
            Position("", -1.0, None, None, []),
            ["expected the text of a token, found a number"],
        ),
        (
            {},
            Position("", None, None, None, []),
            ["expected the text of a token, found nothing"],
        ),
        *(
            (
                {"token": "a", "logprob": -1, "bytes": values},
                Position("a", -1.0, None, None, []),
                ["expected bytes from 0 to 255, found something else"],
            )
            for values in ([256], [97, -1], [97.5], [True], ["a"], "a", {}, 97)
        ),
        (
            {"token": "a", "logprob": "-1", "bytes": [97]},
            Position("a", -1.0, [97], None, []),
            ["expected a log probability, found text"],
        ),
        ({"token": "a", "logprob": -1, "id": "7"}, Position("a", -1.0, None, None, []), []),
        (
            {"token": "a", "logprob": -1, "id": True},
            Position("a", -1.0, None, None, []),
            [],
        ),
        (
            {"token": "a", "logprob": -1, "top_logprobs": {}},
            Position("a", -1.0, None, None, []),
            [],
        ),
        (
            {
                "token": "a",
                "logprob": -1,
                "top_logprobs": [{"token": "b", "logprob": -1}, None, "c"],
            },
            Position("a", -1.0, None, None, [Entry("b", -1.0)]),
            [],
        ),
        (
            {"token": "a", "logprob": -1, "top_logprobs": [{}]},
            Position("a", -1.0, None, None, [Entry("", None)]),
            ["expected the text of a token, found nothing"],
        ),
    ],
)
def test_odd_position(
    item: dict[str, Any], position: Position, problems: list[str]
) -> None:
    """An odd value of a token becomes None, has a warning, and is not made up."""
    positions, warnings = read_positions(json.dumps([item]).encode(), "$.here")
    assert list(positions) == [position]
    assert [warning.problem for warning in warnings] == problems
    assert {warning.path for warning in warnings} <= {"$.here[0]"}
    codes = {WarningCode.BODY_MENDED, WarningCode.TOKEN_IDS_AS_TEXT}
    assert {warning.code for warning in warnings} <= codes


@pytest.mark.parametrize(
    ("tokens", "warnings"),
    [
        (b"[]", []),
        (b"{}", [("$.here", "expected a list of tokens, found an object")]),
        (b"5", [("$.here", "expected a list of tokens, found a number")]),
        (b'"a"', [("$.here", "expected a list of tokens, found text")]),
        (b"null", [("$.here", "expected a list of tokens, found nothing")]),
        (b"no", [("$.here", "expected a list of tokens, found nothing")]),
        (
            b'[null, "a", null]',
            [
                ("$.here[0]", "expected an object, found nothing"),
                ("$.here[1]", "expected an object, found text"),
            ],
        ),
    ],
)
def test_no_positions(tokens: bytes, warnings: list[tuple[str, str]]) -> None:
    """A value that is no list of objects has no tokens, and a warning."""
    positions, notes = read_positions(tokens, "$.here")
    assert list(positions) == []
    assert [(warning.path, warning.problem) for warning in notes] == warnings


def test_warning_has_the_first_path_and_the_count() -> None:
    """One warning for each kind, not one for each of ten thousand tokens."""
    tokens = [{"token": "a", "logprob": value} for value in (-1, -9999, -2, -9999, -1e38)]
    positions, warnings = read_positions(json.dumps(tokens).encode(), "$.here")
    assert [position.logprob for position in positions] == [
        -1,
        -INFINITY,
        -2,
        -INFINITY,
        -INFINITY,
    ]
    problem = "a number that stands for minus infinity"
    assert warnings == (
        ResponseWarning(WarningCode.LOG_PROB_SENTINEL, "$.here[1]", problem, 3),
    )
    assert str(warnings[0]) == (
        "a number that stands for minus infinity "
        "(at `$.here[1]` and 2 more; log-prob-sentinel)"
    )


def test_alternatives_are_corrected_like_the_sampled_token() -> None:
    """Sentinels, ids as text and U+FFFD have warnings in every list."""
    top = [
        {"token": "token_id:12", "logprob": -9999.0},
        {"token": "\ufffd", "logprob": LOWEST, "bytes": [239, 191, 189]},
    ]
    tokens = [{"token": "a", "logprob": -1, "top_logprobs": top}]
    (position,), warnings = read_positions(json.dumps(tokens).encode(), "$.here")
    assert position.top_logprobs == [
        Entry("token_id:12", -INFINITY, None, 12),
        Entry("\ufffd", -INFINITY),
    ]
    assert [(warning.code, warning.count) for warning in warnings] == [
        (WarningCode.LOG_PROB_SENTINEL, 2),
        (WarningCode.TOKEN_IDS_AS_TEXT, 1),
        (WarningCode.REPLACEMENT_CHARACTER, 1),
    ]


def raws(*parts: object) -> tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw]:
    """The three lists of the completions API as they come."""
    one, two, three = (msgspec.Raw(json.dumps(part).encode()) for part in parts)
    return one, two, three


def test_legacy_positions() -> None:
    """B13: the completions API's arrays are read, without bytes and ids."""
    logprobs = {
        "tokens": ["\u2581Hello", "!"],
        "token_logprobs": [-1.19e-07, None],
        "top_logprobs": [{"\u2581Hello": -1.19e-07}, None],
        "text_offset": [0, 1],
    }
    completion = read(body_of(" Hello!", logprobs=logprobs))
    assert completion.log_probs is not None
    assert list(completion.log_probs) == [
        at(entry("\u2581Hello", -1.19e-07), entry("\u2581Hello", -1.19e-07)),
        at(entry("!", None)),
    ]
    assert [(warning.code, warning.path) for warning in completion.warnings] == [
        (WarningCode.LEGACY_LOG_PROBS, "$.choices[0].logprobs"),
        (WarningCode.LOG_PROB_UNKNOWN, "$.choices[0].logprobs[1]"),
        (WarningCode.TEXT_MISMATCH, "$.choices[0].logprobs"),
    ]


def test_legacy_positions_without_alternatives() -> None:
    """B13: alternatives that were not requested are left out here too."""
    logprobs = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"b": -0.5}]}
    completion = read(body_of("a", logprobs=logprobs), asks_log_probs=True)
    assert completion.full_token_log_probs == [[]]
    assert [warning.code for warning in completion.warnings] == ["legacy-log-probs"]


@pytest.mark.parametrize(
    ("parts", "positions"),
    [
        ((["a"], None, None), [Position("a", None, top_logprobs=[])]),
        ((["a"], "no", 5), [Position("a", None, top_logprobs=[])]),
        (
            ([5], [-1, "-2"], [[]]),
            [
                Position("", -1.0, None, 5, top_logprobs=[]),
                Position("", -2.0, top_logprobs=[]),
            ],
        ),
        (
            (["a"], [-9999.0], [{"a": -9999.0, "b": "x"}]),
            [
                Position(
                    "a", -INFINITY, top_logprobs=[Entry("a", -INFINITY), Entry("b", None)]
                )
            ],
        ),
        (({}, {}, {}), []),
    ],
)
def test_odd_legacy_positions(
    parts: tuple[object, object, object], positions: list[Position]
) -> None:
    """Arrays of other kinds or lengths are read as far as they go."""
    positions_read, warnings = read_legacy_positions(raws(*parts), "$.here")
    assert list(positions_read) == positions
    assert warnings[0].code == WarningCode.LEGACY_LOG_PROBS
    assert warnings[0].path == "$.here"


def test_absent_legacy_arrays() -> None:
    """Arrays that did not come are empty."""
    parts = (msgspec.Raw(b'["a"]'), msgspec.Raw(), msgspec.Raw())
    assert list(read_legacy_positions(parts, "$")[0]) == [
        Position("a", None, top_logprobs=[])
    ]


@pytest.mark.parametrize("size", [18, 20, 320, 4300, 5000])
@pytest.mark.parametrize("name", ["id", "rank", "token_id"])
def test_number_that_no_vocabulary_has(name: str, size: int) -> None:
    """It is none, so that every number fits where tables hold 64 bits."""
    tokens = f'[{{"token": "a", "logprob": -1, "{name}": {"9" * size}}}]'
    (position,), _ = read_positions(tokens.encode(), "$")
    number = position.rank if name == "rank" else position.id
    assert number == (10**18 - 1 if size == 18 else None)
    assert (position.token, position.logprob) == ("a", -1.0)


def test_prompt_log_probs() -> None:
    """B18: the first position is None, and the prompt's own token is the first entry."""
    prompt = (
        '[null,{"785":{"logprob":-3.1,"rank":7,"decoded_token":"The"},'
        '"40":{"logprob":-0.9,"rank":1,"decoded_token":"I"}},'
        '{"9":{"logprob":-9999.0,"rank":99,"decoded_token":"x"},'
        '"8":{"logprob":NaN,"decoded_token":null}}]'
    )
    body = f'{{"choices":[{{"message":{{"content":"4"}}}}],"prompt_logprobs":{prompt}}}'
    completion = read(body)
    assert completion.prompt_log_probs is not None
    assert list(completion.prompt_log_probs) == [
        None,
        at(
            entry("The", -3.1, None, 785),
            entry("I", -0.9, None, 40),
            entry("The", -3.1, None, 785),
        ),
        at(
            entry("x", -INFINITY, None, 9),
            entry("x", -INFINITY, None, 9),
            entry("", None, None, 8),
        ),
    ]
    assert completion.warnings == ()


@pytest.mark.parametrize(
    ("raw", "positions"),
    [
        ("[]", []),
        ("{}", []),
        ("5", []),
        ("no JSON", []),
        ("[null, {}, 5, []]", [None, None, None, None]),
        ('[{"x": 5}]', [Position("", None, None, None, [Entry("", None)])]),
        ('[{"-1": null}]', [Position("", None, None, None, [Entry("", None)])]),
        (
            '[{"7": {"logprob": "-1", "decoded_token": "a"}}]',
            [Position("a", -1.0, None, 7, [Entry("a", -1.0, None, 7)])],
        ),
    ],
)
def test_odd_prompt_log_probs(raw: str, positions: list[Position | None]) -> None:
    """A value that is no entry has no text, no number and no id."""
    assert read_prompt_positions(msgspec.Raw(raw.encode())) == positions


@pytest.mark.parametrize("absent", [None, [], {}])
def test_no_prompt_log_probs(absent: object) -> None:
    """B18: an answer without prompt log probabilities has None, on either path."""
    assert read({**body_of("4"), "prompt_logprobs": absent}).prompt_log_probs is None
    odd = read({**body_of("4"), "prompt_logprobs": absent, "id": 5})
    assert odd.prompt_log_probs is None
