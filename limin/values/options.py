"""The options of every function and method that asks, by name.

The defaults of what is sent have their home in `ModelConfiguration`. `StreamOptions`
and its kin repeat the names alone, so that type checkers know every option of every
function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast, get_args

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import check_choice, describe_type
from limin.values.configuration import ModelConfiguration

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

OnWarning: TypeAlias = Literal["ignore", "warn", "raise"]


class StreamOptions(TypedDict, total=False):
    """The options of every function, by name.

    An option that is given wins over the same field of `model_configuration`, or
    over the client's argument of that name. The names that are not told of here are
    those of `ModelConfiguration`, and mean the same.

    Attributes:
        model_configuration: Fields to start from; else their defaults.
        timeout: Seconds for the whole of one completion; None for no limit. The
            client's by default, and that is 600.
        idle_timeout: Seconds that a stream may bring no whole event once its first
            token came; what only keeps a connection alive is none. None for no
            limit. The client's by default, and that is 60.
        max_retries: How often a request that failed for a passing reason is sent
            again. The client's by default, and that is 4.
        on_warning: What becomes of an answer's warnings: `ignore`, the default,
            does nothing; `warn` issues a `LiminWarning` for each; `raise` raises
            an `AnswerWarningError`. They stand in `completion.warnings` in any
            case.
    """

    model: str
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    log_probs: bool
    top_log_probs: int | None
    extra_body: Mapping[str, object] | None
    model_configuration: ModelConfiguration | None
    timeout: float | None
    idle_timeout: float | None
    max_retries: int
    on_warning: OnWarning


class CompletionOptions(StreamOptions, total=False):
    """The options of a completion that is handed over whole; see `StreamOptions`.

    Attributes:
        stream: Whether to fetch it by streaming, for its timings and its idle
            timeout. A stream that breaks off before its end is asked for again, as
            any request is.
    """

    stream: bool


class BatchOptions(CompletionOptions, total=False):
    """The options of a batch: how to ask, see `CompletionOptions`, and what to keep.

    Attributes:
        checkpoint: Path of a file that takes each finished completion as one line at
            once; what it holds already is not asked for again. None for none.
        fsync: Whether each line survives a power cut, at the price of a wait for the
            disk; False by default.
    """

    checkpoint: str | os.PathLike[str] | None
    fsync: bool


def check_on_warning(on_warning: OnWarning) -> None:
    """Refuse an *on_warning* that does not exist.

    Raises:
        ConfigurationError: If it is none of those of `OnWarning`.
    """
    check_choice("on_warning", on_warning, get_args(OnWarning))


_FIELDS = frozenset(attrs.fields_dict(ModelConfiguration))
_DEFAULTS = ModelConfiguration()


def resolve_configuration(options: CompletionOptions) -> ModelConfiguration:
    """The configuration that *options* make, over their `model_configuration`.

    Raises:
        TypeError: If there is no such option.
        ConfigurationError: If a value is of the wrong type or out of range.
    """
    unknown = options.keys() - CompletionOptions.__annotations__.keys()
    if unknown:
        names = ", ".join(repr(name) for name in sorted(unknown))
        problem = f"unexpected keyword argument: {names}"
        raise TypeError(problem)
    configuration = options.get("model_configuration") or _DEFAULTS
    if not isinstance(configuration, ModelConfiguration):
        found = describe_type(configuration)
        problem = f"model_configuration: expected a ModelConfiguration, found {found}"
        raise ConfigurationError(problem)
    explicit = {name: value for name, value in options.items() if name in _FIELDS}
    return (
        attrs.evolve(configuration, **cast("Any", explicit)) if explicit else configuration
    )
