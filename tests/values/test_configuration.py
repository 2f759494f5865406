import math
from typing import Any

import attrs
import numpy as np
import pandas as pd
import pytest

from limin.errors import ConfigurationError
from limin.values.configuration import ModelConfiguration
from limin.values.tools import Tool

PLAN = "my secret plan for tonight"
WEATHER = Tool("weather", PLAN, {"type": "object", "description": PLAN})
BIASES = "a mapping from the ids of tokens to finite numbers, or None"


def circle() -> dict[str, Any]:
    """A mapping that holds itself."""
    mapping: dict[str, Any] = {}
    mapping["secret"] = mapping
    return mapping


FITTING: dict[str, list[Any]] = {
    "model": ["gpt-4o", "a/b:free", "x"],
    "temperature": [None, 0, 0.0, 0.7, 2, 1e6],
    "max_tokens": [None, 1, 10**9],
    "top_p": [None, 0, 0.5, 1],
    "stop": [None, "\n", "", ("a", "b"), ()],
    "seed": [None, 0, -1, 2**63],
    "presence_penalty": [None, -2, 0.0, 2.5],
    "frequency_penalty": [None, -2, 0.0, 2.5],
    "log_probs": [True, False],
    "max_completion_tokens": [None, 1, 10**9],
    "reasoning_effort": [None, "low", "xhigh"],
    "logit_bias": [None, {}, {"5": -100, "hello": 0.5}],
    "tools": [(), (WEATHER,), ({"type": "web_search"},)],
    "tool_choice": [None],
    "parallel_tool_calls": [None, True, False],
    "stream": [True, False],
    "extra_body": [None, {}, {"min_p": 0.1, "n": 2}],
}

# Field, value, and the expectation and the value in the message.
MISFITTING: list[tuple[str, Any, str, str]] = [
    ("model", "", "the name of a model", "a str"),
    ("model", None, "the name of a model", "None"),
    ("model", 4, "the name of a model", "4"),
    ("model", [PLAN], "the name of a model", "a list"),
    ("temperature", -0.1, "a finite number of at least 0, or None", "-0.1"),
    ("temperature", math.inf, "a finite number of at least 0, or None", "inf"),
    ("temperature", math.nan, "a finite number of at least 0, or None", "nan"),
    ("temperature", True, "a finite number of at least 0, or None", "True"),
    ("temperature", PLAN, "a finite number of at least 0, or None", "a str"),
    ("max_tokens", 0, "an integer of at least 1, or None", "0"),
    ("max_tokens", -5, "an integer of at least 1, or None", "-5"),
    ("max_tokens", 1.5, "an integer of at least 1, or None", "1.5"),
    ("max_tokens", True, "an integer of at least 1, or None", "True"),
    ("max_tokens", "16", "an integer of at least 1, or None", "a str"),
    ("top_p", -0.1, "a finite number of at least 0 and at most 1, or None", "-0.1"),
    ("top_p", 1.1, "a finite number of at least 0 and at most 1, or None", "1.1"),
    ("top_p", math.nan, "a finite number of at least 0 and at most 1, or None", "nan"),
    ("top_p", "1", "a finite number of at least 0 and at most 1, or None", "a str"),
    ("stop", 7, "a str, a sequence of str, or None", "7"),
    ("stop", (PLAN, 7), "a str, a sequence of str, or None", "a tuple"),
    ("stop", [PLAN, 7], "a str, a sequence of str, or None", "a list"),
    ("stop", np.array([7]), "a str, a sequence of str, or None", "an ndarray"),
    ("stop", pd.Series([PLAN, None]), "a str, a sequence of str, or None", "a Series"),
    ("stop", {PLAN}, "a str, a sequence of str, or None", "a set"),
    ("stop", b"\n", "a str, a sequence of str, or None", "a bytes"),
    ("seed", 1.0, "an integer, or None", "1.0"),
    ("seed", np.bool_(False), "an integer, or None", "False"),  # noqa: FBT003
    ("seed", pd.NA, "an integer, or None", "an NAType"),
    ("seed", 10**400, "an integer, or None", "an int beyond the range of a float"),
    ("temperature", np.float32("nan"), "a finite number of at least 0, or None", "nan"),
    ("max_tokens", np.float64(8), "an integer of at least 1, or None", "8.0"),
    ("max_tokens", np.int64(0), "an integer of at least 1, or None", "0"),
    ("log_probs", np.int64(1), "True or False", "1"),
    ("seed", False, "an integer, or None", "False"),
    ("seed", PLAN, "an integer, or None", "a str"),
    ("presence_penalty", math.inf, "a finite number, or None", "inf"),
    ("presence_penalty", -math.inf, "a finite number, or None", "-inf"),
    ("presence_penalty", PLAN, "a finite number, or None", "a str"),
    ("frequency_penalty", math.nan, "a finite number, or None", "nan"),
    ("frequency_penalty", PLAN, "a finite number, or None", "a str"),
    ("log_probs", 1, "True or False", "1"),
    ("log_probs", None, "True or False", "None"),
    ("log_probs", PLAN, "True or False", "a str"),
    ("top_log_probs", -2, "an integer of at least -1, or None", "-2"),
    ("top_log_probs", 5.0, "an integer of at least -1, or None", "5.0"),
    ("top_log_probs", PLAN, "an integer of at least -1, or None", "a str"),
    ("max_completion_tokens", 0, "an integer of at least 1, or None", "0"),
    ("max_completion_tokens", PLAN, "an integer of at least 1, or None", "a str"),
    ("reasoning_effort", 3, "a str or None", "3"),
    ("reasoning_effort", [PLAN], "a str or None", "a list"),
    ("logit_bias", PLAN, BIASES, "a str"),
    ("logit_bias", [[5, 1]], BIASES, "a list"),
    ("logit_bias", {5: PLAN}, BIASES, "a dict"),
    ("logit_bias", {5: True}, BIASES, "a dict"),
    ("logit_bias", {5: math.nan}, BIASES, "a dict"),
    ("logit_bias", {5: -math.inf}, BIASES, "a dict"),
    ("logit_bias", {True: 1}, BIASES, "a dict"),
    ("logit_bias", {5.0: 1}, BIASES, "a dict"),
    ("tools", PLAN, "a sequence of tools", "a str"),
    ("tool_choice", True, "a str, a mapping, or None", "True"),
    ("tool_choice", [PLAN], "a str, a mapping, or None", "a list"),
    ("tool_choice", circle(), "values that JSON can hold", "too deep a nesting"),
    ("parallel_tool_calls", 1, "True, False or None", "1"),
    ("parallel_tool_calls", PLAN, "True, False or None", "a str"),
    ("extra_body", PLAN, "a mapping, or None", "a str"),
    ("extra_body", [("seed", PLAN)], "a mapping, or None", "a list"),
    ("extra_body", 3, "a mapping, or None", "3"),
]


def test_defaults() -> None:
    """Without options gpt-4o answers at temperature 0.7, and the rest is the server's."""
    assert attrs.asdict(ModelConfiguration()) == {
        "model": "gpt-4o",
        "temperature": 0.7,
        "max_tokens": None,
        "top_p": None,
        "stop": None,
        "seed": None,
        "presence_penalty": None,
        "frequency_penalty": None,
        "log_probs": False,
        "top_log_probs": None,
        "max_completion_tokens": None,
        "reasoning_effort": None,
        "logit_bias": None,
        "tools": (),
        "tool_choice": None,
        "parallel_tool_calls": None,
        "extra_body": None,
        "stream": False,
    }


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in FITTING for value in FITTING[name]]
)
def test_value_that_fits_is_kept(name: str, value: Any) -> None:
    """Values up to and on their bounds are taken as they are."""
    assert getattr(ModelConfiguration(**{name: value}), name) == value


@pytest.mark.parametrize("number", [None, -1, 0, 20, 200_000])
def test_top_log_probs_that_fit(number: int | None) -> None:
    """Any number of alternatives may be asked for, and -1 for all there are."""
    configuration = ModelConfiguration(log_probs=True, top_log_probs=number)
    assert configuration.top_log_probs == number


@pytest.mark.parametrize(("name", "value", "expected", "found"), MISFITTING)
def test_value_that_does_not_fit_is_refused(
    name: str, value: Any, expected: str, found: str
) -> None:
    """The message names expectation and value, and shows no text."""
    with pytest.raises(ConfigurationError) as caught:
        ModelConfiguration(**{name: value})
    assert str(caught.value) == f"{name}: expected {expected}, found {found}"
    assert isinstance(caught.value, ValueError)


def test_top_log_probs_alone() -> None:
    """Alternatives without log probabilities are refused here, not by the server."""
    with pytest.raises(ConfigurationError) as caught:
        ModelConfiguration(top_log_probs=5)
    assert str(caught.value) == (
        "top_log_probs: expected log_probs=True beside it, found top_log_probs=5 alone"
    )


def test_tool_choice() -> None:
    """A choice needs tools, and a name must be that of one of them."""
    configuration = ModelConfiguration(tools=[WEATHER], tool_choice=np.str_("weather"))
    assert type(configuration.tool_choice) is str
    with pytest.raises(ConfigurationError) as caught:
        attrs.evolve(configuration, tools=())
    assert str(caught.value) == "tool_choice: expected tools= beside it, found it alone"
    with pytest.raises(ConfigurationError, match="or the name of a tool, found another"):
        ModelConfiguration(tools=[WEATHER], tool_choice=PLAN)
    own = {"tools": [{"type": "web_search"}]}
    assert ModelConfiguration(extra_body=own, tool_choice="any").tool_choice == "any"


def test_two_tools_of_one_name() -> None:
    """A model could not tell them apart."""
    with pytest.raises(ConfigurationError, match=r"for tools\[0\] and tools\[1\]$"):
        ModelConfiguration(tools=[WEATHER, WEATHER])


def test_tools_in_the_repr() -> None:
    """The repr names tools, and shows neither descriptions nor long tables."""
    configuration = ModelConfiguration(
        logit_bias={PLAN: 1, 5: 2},
        tools=[WEATHER, {"type": PLAN}],
        tool_choice={"type": PLAN},
    )
    shown = repr(configuration)
    assert "logit_bias=<2 tokens>, tools=[weather, <mapping>]" in shown
    assert "tool_choice=<mapping>" in shown
    assert "secret" not in shown
    assert "logit_bias=None, tools=[], tool_choice=None" in repr(ModelConfiguration())


def test_list_of_stops_is_copied() -> None:
    """A list of stops that grows later does not change the configuration."""
    stops = ["a"]
    configuration = ModelConfiguration(stop=stops)
    stops.append("b")
    assert configuration.stop == ("a",)


def test_extra_body_is_copied() -> None:
    """A field added to the caller's mapping later is not sent."""
    extra = {"min_p": 0.1}
    configuration = ModelConfiguration(extra_body=extra)
    extra["messages"] = 1.0
    assert configuration.extra_body == {"min_p": 0.1}


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("messages", "the prompt or conversation"),
        ("stream", "the option `stream` or the stream functions"),
    ],
)
def test_extra_body_may_not_replace_what_limin_sends(name: str, home: str) -> None:
    """A field that would break the request is refused by its name, not its value."""
    with pytest.raises(ConfigurationError) as caught:
        ModelConfiguration(extra_body={name: PLAN, "min_p": 0.1})
    assert str(caught.value) == f"extra_body: {name!r} is set by {home}, not here"


def test_extra_body_stays_out_of_the_repr() -> None:
    """A vendor's field may hold a prompt, so the repr leaves it out."""
    assert PLAN not in repr(ModelConfiguration(extra_body={"guided_regex": PLAN}))


def test_configuration_cannot_change() -> None:
    """A configuration that is shared between calls stays the same."""
    with pytest.raises(AttributeError):
        ModelConfiguration().seed = 3  # type: ignore[misc]  # the mistake itself


def test_fields_go_by_name() -> None:
    """Fields of a configuration are keyword-only."""
    with pytest.raises(TypeError):
        ModelConfiguration("gpt-4o")  # type: ignore[misc]  # the mistake itself


# Field, value as people have it, and the value that is sent.
AS_PEOPLE_HAVE_IT: list[tuple[str, Any, Any]] = [
    ("model", np.str_("m"), "m"),
    ("temperature", np.float32(0.5), 0.5),
    ("temperature", np.int64(0), 0),
    ("top_p", np.float32(1), 1.0),
    ("max_tokens", np.int64(8), 8),
    ("seed", np.uint8(1), 1),
    ("seed", np.array(1), 1),
    ("presence_penalty", np.float16(0.5), 0.5),
    ("frequency_penalty", np.float64(-0.5), -0.5),
    ("log_probs", np.bool_(True), True),  # noqa: FBT003 (numpy's flag)
    ("max_completion_tokens", np.int64(8), 8),
    ("reasoning_effort", np.str_("low"), "low"),
    ("logit_bias", {np.int64(5): np.float32(-0.5), 6: 1}, {"5": -0.5, "6": 1}),
    ("tools", [WEATHER], (WEATHER,)),
    ("parallel_tool_calls", np.bool_(False), False),  # noqa: FBT003 (numpy's flag)
    ("stream", np.bool_(False), False),  # noqa: FBT003 (numpy's flag)
    ("stop", np.str_("a"), "a"),
    ("stop", ["a", np.str_("b")], ("a", "b")),
    ("stop", np.array(["a", "b"]), ("a", "b")),
    ("stop", pd.Series(["a", "b"]), ("a", "b")),
]


@pytest.mark.parametrize(("name", "value", "expected"), AS_PEOPLE_HAVE_IT)
def test_value_of_another_library_is_converted(
    name: str, value: Any, expected: Any
) -> None:
    """Numbers, flags and texts of numpy and pandas become Python's own."""
    kept = getattr(ModelConfiguration(**{name: value}), name)
    assert repr(kept) == repr(expected)


def test_extra_body_of_other_libraries_is_converted() -> None:
    """Numbers and arrays inside `extra_body` become plain JSON, whatever their depth."""
    extra: Any = {"logit_bias": {np.int64(7): np.float32(-1)}, "ids": np.array([1, 2])}
    configuration = ModelConfiguration(extra_body=extra)
    assert repr(configuration.extra_body) == "{'logit_bias': {7: -1.0}, 'ids': [1, 2]}"


def test_extra_body_that_holds_itself() -> None:
    """A mapping without an end is left to the encoder, which refuses it by name."""
    extra: dict[str, object] = {}
    extra["self"] = extra
    assert ModelConfiguration(extra_body=extra).extra_body == extra
