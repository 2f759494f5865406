"""A run under way: what is asked next, and what becomes of each result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs
import msgspec

from limin.asking import AnswerType
from limin.client import Client
from limin.errors import LiminError, NotSentError
from limin.files import results
from limin.files.run_lines import Mark, encode_line
from limin.parallel import batch_workers
from limin.values.display import rendering
from limin.values.masking import mask_body
from limin.values.progress import BatchState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from limin.batch.workers import Parallel, WorkerPool
    from limin.calls.caller import Caller
    from limin.deciding import AnyDecision, DecisionSetting
    from limin.files.plan import Plan
    from limin.files.questions import Question
    from limin.files.results import Result
    from limin.files.run_file import Output
    from limin.files.run_lines import Shape
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.configuration import ModelConfiguration
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions

    Item: TypeAlias = tuple[Conversation, ModelConfiguration]
    # Returns workers that ask the questions of a run, as the client of the run.
    Start: TypeAlias = "Callable[[RunClient, Run], Workers]"

# The log of a run of hours should be short.
_SECONDS_BETWEEN_LINES = 60.0


@attrs.frozen(kw_only=True)
class RunSettings:
    """How a run is done.

    Attributes:
        n_parallel: Requests under way at most.
        prefix: What stands before the names of the output's own fields.
        stops_on_error: Whether nothing more is sent after a failure.
        max_total_tokens: Tokens that the answers may use; None for no limit.
    """

    n_parallel: Parallel
    prefix: str = ""
    stops_on_error: bool = False
    max_total_tokens: int | None = None


class Workers(Protocol):
    """The workers of a run, whatever they ask for; see `WorkerPool`."""

    @property
    def broken(self) -> BaseException | None:
        """The exception that ended the run and is no result."""

    @property
    def stopped_by(self) -> LiminError | None:
        """The error that would fail every question."""

    async def run(self, deliver: Callable[[int, Result], Awaitable[None]]) -> None:
        """Ask until there is no question left."""


class RunClient(Client):
    """A client that a run asks with, and that tells how its requests stand."""

    def start_answers(
        self, run: Run, schema: JsonSchema[object] | None
    ) -> WorkerPool[Item, TextCompletion[object], LiminError]:
        """Return workers that ask the questions of *run*, for answers of a *schema*."""
        settings = run.settings
        options: BatchOptions = {"max_total_tokens": settings.max_total_tokens}
        answer_type = None if schema is None else AnswerType(schema)
        caller = _expecting(run, self._caller(options, answer_type))
        workers, _ = batch_workers(
            caller, run, settings.n_parallel, options, answer_type, None
        )
        return workers

    def start_decisions(
        self, run: Run, setting: DecisionSetting
    ) -> WorkerPool[object, AnyDecision, LiminError]:
        """Return workers that decide the questions of *run* as *setting* says."""
        from limin.deciding import decision_workers  # noqa: PLC0415 (one command decides)

        caller = _expecting(run, self._caller(setting.call_options))
        workers, _ = decision_workers(
            setting,
            caller,
            self._alternatives[caller.model],
            Prompts(run),
            run.settings.n_parallel,
            None,
        )
        return workers

    def mask_body(self, body: bytes) -> bytes:
        """Return the *body* of an error without the secrets of the client's endpoints."""
        return mask_body(body, self._servers.secrets)

    def batch_state(self, *, is_read: bool) -> BatchState:
        """Return how the requests stand, and whether the answers are read."""
        state = self.state
        return BatchState(
            in_flight=state.in_flight, resting=state.seconds_of_rest, is_read=is_read
        )


def _expecting(run: Run, caller: Caller) -> Caller:
    """Return a *caller* that knows which models answered the *run* before."""
    return msgspec.structs.replace(caller, served_models=run.served_models)


class Run:
    """Asks all questions of a plan, and writes each result as soon as it is there.

    It is the source of the workers' items, and holds as many questions as are under way.

    Attributes:
        settings: How it is done.
        n_failed: Number of results that are no answers.
        stopped_by: Why nothing more was sent; None if everything was.
    """

    def __init__(self, plan: Plan, output: Output, settings: RunSettings) -> None:
        """Prepare to ask the questions of *plan*, which was checked."""
        self.settings = settings
        self.n_failed = 0
        self.stopped_by: str | None = None
        self._plan, self._output = plan, output
        self._asked: dict[int, Question] = {}

    async def ask(self, client: RunClient, start: Start) -> None:
        """Ask until everything is answered, or the run stops.

        Args:
            client: The client to ask with.
            start: Returns workers that ask the questions.

        Raises:
            Exception: What kept a result from being written, or a line from being read.
        """
        workers = start(client, self)

        def state() -> BatchState:
            is_read = not isinstance(workers.broken, BrokenPipeError)
            return client.batch_state(is_read=is_read)

        async def deliver(index: int, result: Result) -> None:
            if self._keep(self._asked.pop(index), result, client):
                progress.finished(index, result)

        with rendering().batch_progress(
            len(self), state, seconds_between_lines=_SECONDS_BETWEEN_LINES
        ) as progress:
            await workers.run(deliver)
        if workers.broken is not None:
            raise workers.broken
        if workers.stopped_by is not None:
            self.stopped_by = str(workers.stopped_by)

    @property
    def served_models(self) -> Mapping[str, str]:
        """How the server called each model that answered before."""
        return self._plan.served_models

    def __len__(self) -> int:
        """Return the number of questions that have no answer yet."""
        return self._plan.n_lines - self._plan.n_answered

    def __iter__(self) -> Iterator[Item]:
        """Yield the questions until the run stops."""
        for index, question in enumerate(self._plan.questions()):
            if self.stopped_by is not None:
                return
            self._asked[index] = question
            yield question.conversation, question.configuration

    def _keep(self, question: Question, result: Result, client: RunClient) -> bool:
        """Write the *result* of *question*, and return whether it was asked at all."""
        if isinstance(result, NotSentError):
            return False
        failed = isinstance(result, LiminError)
        self._output.add(self._encode(question, result, client))
        self.n_failed += failed
        if failed and self.settings.stops_on_error:
            self.stopped_by = "a line has no answer"
        return True

    def _encode(self, question: Question, result: Result, client: RunClient) -> bytes:
        request, prefix = question.hash(), self.settings.prefix
        shape: Shape = "fields" if question.custom_id is None else "openai"
        if shape == "fields":
            fields = results.to_fields(question, result, prefix)
        else:
            fields = results.to_batch_output(question, result, request, client.mask_body)
        mark = Mark(
            number=question.line.number,
            request=request,
            shape=shape,
            failed=isinstance(result, LiminError),
            time=time.time(),
            prefix=prefix,
        )
        return encode_line(fields, mark)


class Prompts:
    """The conversations of a run, for decisions, which all have one configuration."""

    def __init__(self, run: Run) -> None:
        """Take them from *run*."""
        self._run = run

    def __len__(self) -> int:
        """Return their number."""
        return len(self._run)

    def __iter__(self) -> Iterator[Conversation]:
        """Yield them until the run stops."""
        return (conversation for conversation, _ in self._run)
