"""OpenTelemetry: a span for each completion and each attempt, and metrics.

It needs `opentelemetry-api`, which `pip install 'limin[telemetry]'` brings. The program
sets up OpenTelemetry's SDK and its exporters; without them nothing is recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.calls.observer import set_observers_of_process

try:
    from limin.telemetry.observer import Telemetry
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    problem = "no telemetry: run `pip install 'limin[telemetry]'`"
    raise ModuleNotFoundError(problem, name=error.name) from error

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from limin.telemetry.settings import Capture

__all__ = ["Telemetry", "instrument", "uninstrument"]


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    capture_content: Capture | bool | None = None,
    provider_name: str | None = None,
) -> None:
    """Observe the calls of every client of this process, those that exist among them.

    It is the one setting that limin has for a process. Called again, it replaces what it
    did before. A call that has begun already is not observed.

    Args:
        tracer_provider: See `Telemetry`, as for the other arguments.
        meter_provider: See `Telemetry`.
        logger_provider: See `Telemetry`.
        capture_content: See `Telemetry`.
        provider_name: See `Telemetry`.

    Raises:
        ConfigurationError: If an argument makes no sense.
    """
    telemetry = Telemetry(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        capture_content=capture_content,
        provider_name=provider_name,
    )
    set_observers_of_process((telemetry,))


def uninstrument() -> None:
    """Undo `instrument`; calls that are under way are observed to their end."""
    set_observers_of_process(())
