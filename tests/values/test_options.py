from typing import Any

import attrs
import pytest

from limin.errors import ConfigurationError
from limin.values.configuration import ModelConfiguration
from limin.values.options import (
    CompletionOptions,
    check_on_warning,
    resolve_configuration,
)

PLAN = "my secret plan for tonight"


def test_options_are_the_fields() -> None:
    """Type checkers know each field as an option, under its type, and some more."""
    options = CompletionOptions.__annotations__
    fields = attrs.fields_dict(ModelConfiguration)
    assert set(options) == {
        *fields,
        "model_configuration",
        "timeout",
        "idle_timeout",
        "max_retries",
        "on_warning",
        "headers",
    }
    types = {name: options[name].__forward_arg__ for name in fields}
    # Functions are taken as tools, and kept as `Tool` objects.
    assert types.pop("tools") == "Sequence[ToolSource]"
    assert types == {n: field.type for n, field in fields.items() if n != "tools"}
    assert CompletionOptions.__required_keys__ == frozenset()


def test_no_options() -> None:
    """Without options the defaults hold."""
    assert resolve_configuration({}) == ModelConfiguration()


def test_configuration_without_options() -> None:
    """Without other options the configuration itself is used."""
    configuration = ModelConfiguration(model="a", temperature=0.1, seed=1)
    assert resolve_configuration({"model_configuration": configuration}) is configuration


def test_option_wins_over_the_configuration() -> None:
    """An explicit option replaces that field of the configuration, and no other."""
    configuration = ModelConfiguration(model="a", temperature=0.1, seed=1)
    resolved = resolve_configuration({"model_configuration": configuration, "seed": 2})
    assert resolved == ModelConfiguration(model="a", temperature=0.1, seed=2)
    assert configuration.seed == 1


def test_explicit_none_wins() -> None:
    """An explicit None leaves the field to the server."""
    configuration = ModelConfiguration(temperature=0.1, seed=1)
    resolved = resolve_configuration(
        {"model_configuration": configuration, "seed": None, "temperature": None}
    )
    assert (resolved.seed, resolved.temperature) == (None, None)
    assert resolve_configuration({"temperature": None}).temperature is None


def test_no_configuration_is_the_default_one() -> None:
    """`model_configuration=None` is the same as no such option."""
    resolved = resolve_configuration({"model_configuration": None, "model": "a"})
    assert resolved == ModelConfiguration(model="a")


def test_timeout_is_no_field() -> None:
    """A time limit is an option of the call, not of the model."""
    assert resolve_configuration({"timeout": 3.0}) == ModelConfiguration()


def test_on_warning_is_no_field() -> None:
    """The treatment of warnings is an option of the call, not of the model."""
    assert resolve_configuration({"on_warning": "raise"}) == ModelConfiguration()
    assert CompletionOptions.__annotations__["on_warning"].__forward_arg__ == "OnWarning"


@pytest.mark.parametrize("on_warning", ["ignore", "warn", "raise"])
def test_on_warning_that_there_is(on_warning: Any) -> None:
    """Each way to treat a warning is accepted."""
    assert check_on_warning(on_warning) == on_warning


@pytest.mark.parametrize(
    ("on_warning", "found"),
    [
        ("error", "another str"),
        ("", "another str"),
        (None, "None"),
        (True, "True"),
        (["warn"], "a list"),
        (PLAN, "another str"),
    ],
)
def test_on_warning_that_does_not_exist(on_warning: Any, found: str) -> None:
    """Anything else is refused, without repeating it."""
    with pytest.raises(ConfigurationError) as caught:
        check_on_warning(on_warning)
    assert str(caught.value) == f"on_warning: expected ignore, warn or raise, found {found}"


def test_resolved_options_are_checked() -> None:
    """A wrong option is refused before anything is sent, whatever the configuration."""
    with pytest.raises(ConfigurationError, match="top_log_probs: expected log_probs=True"):
        resolve_configuration(
            {
                "model_configuration": ModelConfiguration(log_probs=True, top_log_probs=2),
                "log_probs": False,
            }
        )


def test_model_configuration_of_the_wrong_type() -> None:
    """A model's name is no configuration, and the error says which argument is wrong."""
    with pytest.raises(ConfigurationError, match="found a str"):
        resolve_configuration({"model_configuration": "gpt-4o"})
