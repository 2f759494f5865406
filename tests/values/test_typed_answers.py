"""An answer as an instance of its type, or the reason why it is none."""

import pickle
from typing import Literal

import attrs
import pytest
from builders import TIMING, read, read_exchange

import limin
from limin import JsonSchema, StructuredOutputError, TextCompletion
from limin.values.choice import Choice
from limin.values.conversation import Conversation
from limin.values.tools import ToolCall
from limin.values.typed_answers import as_schema, read_answer

CALL = ToolCall("c", "get_weather", "{}")
MALFORMED = "JSON is malformed: invalid character (byte 0)"
GUESS = "; the server may not apply response_format"


@attrs.frozen
class City:
    name: str
    inhabitants: int = attrs.field(default=1, validator=attrs.validators.ge(1))


PARIS = '{"name": "Paris", "inhabitants": 2}'


def completion_of(message: str, **choice: object) -> TextCompletion:
    """A completion whose only choice has this *message*."""
    fields: dict[str, object] = {"message": message, "finish_reason": "stop"} | choice
    return TextCompletion(
        conversation=Conversation.from_prompts("hi"),
        model="m",
        choices=(Choice(**fields),),  # type: ignore[arg-type]
        timing=TIMING,
    )


def misfit_of(
    completion: TextCompletion, kind: object = City, *, offers_tools: bool = False
) -> StructuredOutputError:
    """The error that reading *completion* as a *kind* raises."""
    with pytest.raises(StructuredOutputError) as caught:
        read_answer(completion, as_schema(kind), offers_tools=offers_tools)
    assert caught.value.completion is completion
    return caught.value


@pytest.mark.parametrize(
    ("message", "had_fence"),
    [
        (PARIS, False),
        (f" \n{PARIS}\t\n", False),
        (f"```json\n{PARIS}\n```", True),
        (f"\n```\n{PARIS}", True),
    ],
)
@pytest.mark.parametrize("finish_reason", ["stop", "length", None])
def test_outer_space_and_one_fence_are_tolerated(
    message: str, finish_reason: str | None, *, had_fence: bool
) -> None:
    """The value is read, and a fence is told; a closed value is whole at the limit, too."""
    completion = completion_of(message, finish_reason=finish_reason)
    answer = read_answer(completion, JsonSchema(City), offers_tools=False)
    assert answer == (City("Paris", 2), had_fence)
    assert completion.parse(City) == City("Paris", 2)


@pytest.mark.parametrize(
    ("message", "choice", "reason", "problem"),
    [
        ('{"name": "Par', {"finish_reason": "length"}, "truncated", None),
        ("", {"finish_reason": "length"}, "truncated", None),
        (f"{PARIS} Paris", {"finish_reason": "length"}, "truncated", None),
        # What comes first in the order decides.
        ("", {"finish_reason": "length", "refusal": "No."}, "truncated", None),
        ("", {"finish_reason": "length", "tool_calls": (CALL,)}, "truncated", None),
        (PARIS, {"finish_reason": "length", "refusal": "No."}, "refused", None),
        (PARIS, {"finish_reason": "content_filter", "refusal": "No."}, "refused", None),
        ("", {"refusal": "No."}, "refused", "the model refused to answer"),
        ("", {"refusal": "No.", "tool_calls": (CALL,)}, "refused", None),
        ("", {"finish_reason": "content_filter"}, "filtered", None),
        (PARIS, {"finish_reason": "content_filter"}, "filtered", None),
        # No JSON.
        ("Paris!", {}, "not-json", f"expected JSON, found other text ({MALFORMED}){GUESS}"),
        (f"Here: {PARIS}", {}, "not-json", None),
        (f"{PARIS}{PARIS}", {}, "not-json", None),
        (f"```{PARIS}``````", {}, "not-json", None),
        ('{"name": "P\ud83d", "inhabitants": 2}', {}, "not-json", None),
        ('{"name": "Par', {}, "not-json", "expected JSON, found only its beginning"),
        ("", {}, "not-json", f"expected JSON, found nothing{GUESS}"),
        (" \n", {"reasoning": "Hm."}, "not-json", f"expected JSON, found nothing{GUESS}"),
        (
            "",
            {"reasoning": f" {PARIS}\n"},
            "not-json",
            "expected JSON, found it in the reasoning, and no other text",
        ),
        ("", {"tool_calls": (CALL,)}, "not-json", None),  # No tools were offered.
    ],
)  # fmt: skip
def test_reason_is_the_first_that_holds(
    message: str, choice: dict[str, object], reason: str, problem: str | None
) -> None:
    """Each reason comes in the promised order, before what the later ones would say."""
    error = misfit_of(completion_of(message, **choice))
    assert (error.reason, error.path) == (reason, "$")
    assert problem in {None, error.problem}
    assert str(error) == f"{reason}: {error.problem}"


@pytest.mark.parametrize(
    ("message", "kind", "path", "problem"),
    [
        ('{"name": 5, "inhabitants": 2}', City, "$.name", "Expected `str`, got `int`"),
        ('{"name": "x"', dict[str, int], None, None),
        ('{"name": "x", "inhabitants": 0}', City, "$", "ValueError of a validator"),
        ('{"value": ["a", 1]}', list[str], "$[1]", "Expected `str`, got `int`"),
        ('["a"]', list[str], "$", "Expected `object`, got `array`"),
        ('{"value": "c"}', Literal["a", "b"], "$", "Invalid enum value"),
        ("[]", City, "$", "Expected `object`, got `array`"),
    ],
)
def test_json_that_does_not_fit_names_its_place(
    message: str, kind: object, path: str | None, problem: str | None
) -> None:
    """Paths are those of the user's type, and no word of the answer is in the message."""
    error = misfit_of(completion_of(message), kind)
    if path is None:
        assert error.reason == "not-json"
        return
    assert (error.reason, error.path, error.problem) == ("invalid", path, problem)
    assert str(error) == f"invalid: {problem} at `{path}`"


def test_cause_is_the_exception_of_the_validator() -> None:
    """What a validator said is not lost, and not in the message."""
    error = misfit_of(completion_of('{"name": "x", "inhabitants": 0}'))
    assert "'inhabitants' must be >= 1" in str(error.__cause__)


@pytest.mark.parametrize("message", ["", "Let me look.", '{"name": 5}'])
def test_call_of_an_offered_tool_is_no_misfit(message: str) -> None:
    """Where the model calls a tool, text beside the call is no answer."""
    completion = completion_of(message, tool_calls=(CALL,))
    schema = JsonSchema(City)
    assert read_answer(completion, schema, offers_tools=True) == (None, False)


def test_value_beside_a_call_is_read() -> None:
    """An answer of the type is a value, whatever stands beside it."""
    completion = completion_of(PARIS, tool_calls=(CALL,))
    answer = read_answer(completion, JsonSchema(City), offers_tools=True)
    assert answer.value == City("Paris", 2)


def test_call_of_a_tool_that_is_no_function_counts() -> None:
    """Calls that `tool_calls` cannot hold stand in the answer's place, too."""
    call = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    completion = read({"choices": [{"index": 0, "message": message}]})
    assert not completion.tool_calls
    answer = read_answer(completion, JsonSchema(City), offers_tools=True)
    assert answer == (None, False)


def test_null_of_an_optional_type_is_a_value() -> None:
    """None may be what the model answered."""
    schema = JsonSchema(City | None)
    answer = read_answer(completion_of('```{"value": null}```'), schema, offers_tools=False)
    assert answer == (None, True)


def test_first_choice_is_read() -> None:
    """Of several choices the value is that of the first, as `message` is."""
    message = {"role": "assistant", "content": PARIS}
    other = {"role": "assistant", "content": "Rome?"}
    choices = [{"index": 0, "message": message}, {"index": 1, "message": other}]
    completion = read({"choices": choices}, n_choices=2)
    answer = read_answer(completion, JsonSchema(City), offers_tools=False)
    assert answer.value == City("Paris", 2)


@pytest.mark.parametrize(
    ("message", "kind", "value"),
    [
        ('["a"]', list[str], ["a"]),
        ('{"value": ["a"]}', list[str], ["a"]),
        ("5", int, 5),
        ('{"value": 5}', dict[str, int], {"value": 5}),
        ('"a"', JsonSchema(Literal["a", "b"]), "a"),
    ],
)
def test_parse_unwraps(message: str, kind: object, value: object) -> None:
    """A value that is no object may stand alone, whatever was asked for."""
    assert completion_of(message).parse(kind) == value  # type: ignore[call-overload]


def test_parse_blames_no_server() -> None:
    """No type was asked for, so `response_format` was not sent."""
    with pytest.raises(StructuredOutputError, match=r"not-json: .*other text") as caught:
        completion_of("Paris!").parse(City)
    assert GUESS not in str(caught.value)
    with pytest.raises(limin.ConfigurationError, match="response_type: expected a type"):
        completion_of("Paris!").parse(5)  # type: ignore[call-overload]


@attrs.frozen
class Person:
    name: str
    age: int


ERYKOS = Person("Erykos", 20)


@pytest.mark.parametrize(
    ("name", "folder", "result"),
    [
        ("vllm-0.32.0-rf_schema_logprobs", "readings", ERYKOS),
        ("vllm-0.32.0-rf_schema_stream", "typed", ERYKOS),
        ("vllm-0.32.0-rf_schema_with_tools", "typed", ERYKOS),
        ("vllm-0.32.0-rf_schema_truncated", "typed", "truncated"),
        ("llama.cpp-b11549-rf_schema_stream", "typed", Person("Echo", 20)),
        ("transformers-serve-5.19.0-json_schema", "typed", "truncated"),
    ],
)
def test_answers_of_real_servers(name: str, folder: str, result: object) -> None:
    """What servers sent for a schema is read, or refused for the right reason."""
    completion, _ = read_exchange(name, folder)
    if isinstance(result, str):
        assert misfit_of(completion, Person).reason == result
    else:
        assert completion.parse(Person) == result


def test_fields_of_vllm_are_those_under_the_mask() -> None:
    """A field is as probable as vllm says, and a warning tells what that means."""
    completion, _ = read_exchange("vllm-0.32.0-rf_schema_logprobs")
    assert completion.fields is not None
    assert [(f.path, f.text) for f in completion.fields.values()] == [
        ("$.name", "Erykos"),
        ("$.age", "20"),
    ]
    codes = {str(warning.code) for warning in completion.warnings}
    assert "constrained-after-mask" in codes


def test_whole_llama_cpp_answer_at_its_limit_is_read() -> None:
    """Blanks behind a complete value, up to `max_tokens`, cut nothing off."""
    completion, _ = read_exchange("llama.cpp-b11549-rf_schema_enum")
    assert completion.finish_reason == "length"
    assert completion.parse(Literal["positive", "negative"]) == "negative"


def test_error_survives_pickling() -> None:
    """Batches in other processes send their errors home."""
    error = misfit_of(completion_of('{"name": 5}'))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)
    assert str(again) == str(error)
    assert again.completion == error.completion
