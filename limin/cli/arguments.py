"""Arguments that several commands have, and what they are turned into."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from limin.cli import environment
from limin.errors import ConfigurationError
from limin.values.configuration import ModelConfiguration

if TYPE_CHECKING:
    from limin.schemas.json_schema import JsonSchema

_SAMPLING = ("temperature", "max_tokens", "seed", "extra_body")


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name the endpoint and the model, and say how to ask."""
    group = parser.add_argument_group("endpoint")
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="URL without /chat/completions; by default OPENAI_BASE_URL, then OpenAI's",
    )
    group.add_argument(
        "-m", "--model", help="name of the model; by default LIMIN_MODEL, then gpt-4o"
    )
    group.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="deadline of one answer, retries included; 600 by default",
    )
    group.add_argument(
        "--max-retries",
        type=int,
        metavar="N",
        help="how often a transient failure is retried at most; 4 by default",
    )


def add_sampling(parser: argparse.ArgumentParser, temperature: str = "0.7") -> None:
    """Add the arguments that say what is sent beside the prompt.

    *temperature* is what is sent unless another one is given.
    """
    group = parser.add_argument_group("request")
    group.add_argument("-s", "--system", metavar="TEXT", help="the system's message")
    group.add_argument(
        "--temperature",
        type=_temperature,
        metavar="T",
        help=f"{temperature} by default; `none` leaves it to the server",
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
    group.add_argument("--seed", type=int, metavar="N", help="seed of the random numbers")
    group.add_argument(
        "--extra-body", type=json_object, metavar="JSON", help="more fields of the request"
    )


def add_log_probs(parser: argparse.ArgumentParser) -> None:
    """Add the argument that asks for log probabilities, to show them."""
    parser.add_argument(
        "--log-probs",
        type=int,
        nargs="?",
        const=0,
        metavar="N",
        help="ask for log probabilities with N alternatives each, 0 by default",
    )


def positive(text: str) -> int:
    """Return the number in *text*, an argument.

    Raises:
        ArgumentTypeError: If it is none of at least 1.
    """
    if text.isdecimal() and int(text) > 0:
        return int(text)
    problem = "expected a number of at least 1"
    raise argparse.ArgumentTypeError(problem)


def client_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a `Client` in *options*."""
    given = {name: getattr(options, name) for name in ("timeout", "max_retries")}
    named = {name: value for name, value in given.items() if value is not None}
    return {"base_url": options.base_url, **named}


def model_of(options: argparse.Namespace) -> str | None:
    """Return the model in *options*, or else in the environment; None if none is named."""
    return options.model or environment.named_model()


def sampling_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a request that *options* hold, by name; no others."""
    given = {name: getattr(options, name, None) for name in _SAMPLING}
    given["model"] = model_of(options)
    fields = {name: value for name, value in given.items() if value is not None}
    if fields.get("temperature") == "none":
        fields["temperature"] = None
    return fields


def configuration_of(options: argparse.Namespace) -> ModelConfiguration:
    """Return the fields of a request that *options* hold, log probabilities included.

    Raises:
        ConfigurationError: If a value is out of range.
    """
    fields = sampling_of(options)
    if options.log_probs is not None:
        fields |= {"log_probs": True, "top_log_probs": options.log_probs}
    return ModelConfiguration(**fields)


def given_sampling(options: argparse.Namespace) -> list[str]:
    """Return the flags in *options* that say what a request holds."""
    names = (*_SAMPLING, "system", "log_probs", "schema", "template")
    return [
        "--" + name.replace("_", "-")
        for name in names
        if getattr(options, name, None) is not None
    ]


def json_object(text: str) -> dict[str, object]:
    """Return the JSON object in *text*, an argument.

    Raises:
        ArgumentTypeError: If it holds none.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        problem = "expected a JSON object"
        raise argparse.ArgumentTypeError(problem)
    return cast("dict[str, object]", value)


def read_schema(path: str | None) -> JsonSchema[object] | None:
    """Return the JSON schema in the file *path*; None for None.

    Raises:
        ConfigurationError: If there is none.
    """
    if path is None:
        return None
    from limin.schemas.json_schema import JsonSchema  # noqa: PLC0415 (ten modules)

    try:
        value: object = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        problem = f"--schema {path}: expected a file with a JSON object, found none"
        raise ConfigurationError(problem)
    return JsonSchema(cast("dict[str, object]", value))


def _temperature(text: str) -> float | str:
    return text if text == "none" else float(text)
