"""The events of a stream, assembled: deltas one by one, and the completion at the end.

The completion is read from a body that is put together from the chunks. So a streamed
answer and a whole one are read by the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.values.choice import Delta  # noqa: TC001 (the annotation of a Struct)
from limin.values.log_probs import LogProbs
from limin.values.warnings import WarningCode
from limin.wire import error_response, lenient, schema
from limin.wire.choice_parts import ERROR_REASON, ChoiceParts
from limin.wire.error_signs import is_error, is_failed_chunk, reports_error
from limin.wire.http import HttpResponse
from limin.wire.notes import Notes
from limin.wire.raw_json import (
    UNDECODABLE,
    has_value,
    is_null,
    split_elements,
    split_fields,
)
from limin.wire.response import (
    MOST_CHOICES,
    TOO_MANY_CHOICES,
    find_log_probs,
    read_completion,
    response_error,
)
from limin.wire.signs_of_life import is_end, is_sign_of_life
from limin.wire.sse import ErrorEvent
from limin.wire.unknown_fields import MergedFields, select_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing
    from limin.values.warnings import ResponseWarning
    from limin.wire.response import ReadingContext

_NULL = len(b"null")
_ABSENT = msgspec.Raw()

# What chunks repeat: the first value counts.
_NAMES = ("id", "model", "created")

# Fields of a chunk that the body has anyway, and padding.
_KNOWN = frozenset(schema.KnownChunk.__struct_fields__) - {"errors", "base_resp"}


class Update(msgspec.Struct, gc=False):
    """The additions of one event, or of some bytes, to an answer.

    Attributes:
        deltas: In the order in which they came.
        error: The error after them, which ends the stream; None if there is none.
        has_data: Whether data came; comments and blank events are none.
    """

    deltas: list[Delta]
    error: LiminError | None = None
    has_data: bool = True


class Assembly:
    """One answer, as far as its stream came.

    Attributes:
        is_done: Whether the server said that nothing more comes.
    """

    def __init__(
        self, context: ReadingContext, head: HttpResponse, now: float = 0.0
    ) -> None:
        """Start with an empty answer.

        Args:
            context: The request that the answer belongs to.
            head: Status and headers of the response.
            now: When they came, in Unix seconds.
        """
        self._context, self._head, self._now = context, head, now
        self._choices: dict[int, ChoiceParts] = {}
        self._fields: dict[str, msgspec.Raw] = {}
        self._unknown = MergedFields(joins=False)
        self._has_names = False
        self._notes = Notes()
        self.is_done = False

    @property
    def is_finished(self) -> bool:
        """Whether every expected choice has a finish reason.

        Some servers send fewer choices than were requested, or no finish reason. They
        are believed once they say that nothing more comes, if any of the answer came.
        """
        choices = self._choices.values()
        if self.is_done:
            return any(parts.is_finished or not parts.is_empty for parts in choices)
        return self._context.n_choices <= len(choices) and self.may_end

    @property
    def may_end(self) -> bool:
        """Whether every choice that came has a finish reason, and any came.

        If the stream then ends as it should, the server sent fewer choices than were
        requested.
        """
        choices = self._choices.values()
        return bool(choices) and all(parts.is_finished for parts in choices)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the answer can be missing, however the stream ends."""
        has_usage = any(len(parts.usage) for parts in self._choices.values())
        return self.is_finished and ("usage" in self._fields or has_usage)

    def feed(self, data: bytes) -> Update:
        """Add the event with *data* to the answer.

        Returns:
            Its deltas, and its error: a `StatusError` if the server reports one, and a
            `ResponseError` if the event is no JSON object with a list of choices.
        """
        if type(data) is not bytes and not is_end(data):
            if isinstance(data, ErrorEvent) or is_error(data):
                return Update([], error=self._status_error(data))
            return Update([], has_data=False)
        try:
            chunk = schema.known_chunk_decoder.decode(data)
        except UNDECODABLE:
            return self._feed_odd(data)
        return self._add_chunk(chunk, data)

    def _feed_odd(self, data: bytes) -> Update:
        """Add an event that has unknown fields, or is no chunk of the standard shape."""
        try:
            chunk = schema.chunk_decoder.decode(data)
        except UNDECODABLE:
            odd = self._read_odd(data)
            if isinstance(odd, Update):
                return odd
            chunk = odd
        update = self._add_chunk(chunk, data)
        if update.error is None and update.has_data:
            self._keep_unknown(chunk, data)
        return update

    def _add_chunk(self, chunk: schema.Chunk, data: bytes) -> Update:
        if not chunk.choices and is_sign_of_life(data):
            return Update([], has_data=False)
        if not self._has_names:
            self._add_names(chunk)
        if len(chunk.usage) > _NULL and has_value(chunk.usage):
            self._fields["usage"] = chunk.usage
        fingerprint, tier, provider = (
            chunk.system_fingerprint,
            chunk.service_tier,
            chunk.provider,
        )
        if len(fingerprint) > _NULL or (len(fingerprint) and not is_null(fingerprint)):
            self._fields["system_fingerprint"] = fingerprint
        if len(tier) > _NULL or (len(tier) and not is_null(tier)):
            self._fields["service_tier"] = tier
        if len(provider) > _NULL or (len(provider) and not is_null(provider)):
            self._fields["provider"] = provider
        return self._add_choices(chunk, data)

    def _read_odd(self, data: bytes) -> schema.Chunk | Update:
        """Return the chunk in *data* of another shape; an update if it is no chunk."""
        if is_end(data):
            self.is_done = True
            return Update([])
        if is_sign_of_life(data):
            return Update([], has_data=False)
        try:
            return lenient.mend_chunk(data, self._notes)
        except lenient.NoAnswerError as error:
            return Update([], error=self._response_error(error.problem, error.path, data))
        except RecursionError:
            return Update([], error=self._response_error("nested too deeply", "$", data))

    def completion(self, timing: Timing) -> TextCompletion:
        """Return the completion so far; it has one empty choice if none came.

        Args:
            timing: The timing of the completion.
        """
        parts = sorted(self._choices.items()) or [(0, ChoiceParts())]
        response = HttpResponse(200, self._head.headers, self._body(parts))
        n_halves = sum(choice.n_halves for _, choice in parts)
        completion = read_completion(
            self._context, timing, response, is_stream=True, n_halves=n_halves
        )
        warnings = completion.body_warnings
        reported = {(warning.path, warning.problem) for warning in warnings}
        added = [
            warning
            for warning in (*self._notes.warnings(), *self._check_ends(parts))
            if (warning.path.replace(".delta", ".message"), warning.problem) not in reported
        ]
        return attrs.evolve(completion, body_warnings=(*warnings, *added))

    def _body(self, parts: Sequence[tuple[int, ChoiceParts]]) -> bytes:
        """Return the body of the answer if it had not been streamed."""
        body: dict[str, object] = {k: v for k, v in self._fields.items() if len(v)}
        body["object"] = "chat.completion"
        body |= self._unknown.encoded()
        body["choices"] = [choice.body(index) for index, choice in parts]
        usages = [choice.usage for _, choice in parts if len(choice.usage)]
        if usages:
            body.setdefault("usage", usages[0])
        return msgspec.json.encode(body)

    def _check_ends(
        self, parts: Sequence[tuple[int, ChoiceParts]]
    ) -> tuple[ResponseWarning, ...]:
        """Return the warnings about the ends of choices, and about repeated deltas."""
        notes = Notes()
        for position, (_, choice) in enumerate(parts):
            path = f"$.choices[{position}]"
            if self.is_done and not choice.is_finished:
                problem = "the stream says that it is over, and not why the answer ended"
                notes.add(
                    WarningCode.FINISH_REASON_MISSING, f"{path}.finish_reason", problem
                )
            if choice.is_repeated:
                problem = "the deltas repeat the text before them"
                notes.add(WarningCode.REPEATED_DELTAS, f"{path}.delta", problem)
        return notes.warnings()

    def _add_names(self, chunk: schema.Chunk) -> None:
        """Keep the first value of each name; those of Azure's first chunk are empty."""
        for name in _NAMES:
            value: msgspec.Raw = getattr(chunk, name)
            if len(value) and not has_value(self._fields.get(name, _ABSENT)):
                self._fields[name] = value
        id_and_model = (self._fields.get(name, _ABSENT) for name in ("id", "model"))
        self._has_names = all(map(has_value, id_and_model))

    def _add_choices(self, chunk: schema.Chunk, data: bytes) -> Update:
        deltas: list[Delta] = []
        failed = is_failed_chunk(chunk, data)
        for position, choice in enumerate(chunk.choices or ()):
            index = position if choice.index is None else choice.index
            parts = self._choices.get(index) or self._start_choice(index)
            if parts is None:
                error = self._response_error(TOO_MANY_CHOICES, "$.choices", data)
                return Update(deltas, error=error)
            if choice.delta is None:
                self._replace_delta(choice, position, parts)
            log_probs = None
            if choice.logprobs is not None:
                log_probs = self._read_log_probs(choice.logprobs, choice, position)
            failed |= len(choice.error) > 0 and reports_error(choice.error)
            delta = parts.add(choice, index, log_probs, has_error=failed)
            if delta is not None:
                deltas.append(delta)
            if choice.finish_reason == ERROR_REASON:
                # A usable answer is handed over; see `WarningCode.FAILED_FINISH`.
                failed |= parts.is_empty
        return Update(deltas, error=self._status_error(data) if failed else None)

    def _start_choice(self, index: int) -> ChoiceParts | None:
        """Return the parts of a new choice; None if there are too many choices."""
        if len(self._choices) < MOST_CHOICES:
            self._choices[index] = ChoiceParts()
        return self._choices.get(index)

    def _keep_unknown(self, chunk: schema.Chunk, data: bytes) -> None:
        """Keep the fields that limin does not know, at every level of an event."""
        fields = split_fields(data)
        self._unknown.add(select_unknown(fields, _KNOWN))
        raws = split_elements(fields.get("choices", _ABSENT))
        for position, (choice, raw) in enumerate(
            zip(chunk.choices or (), raws, strict=False)
        ):
            index = position if choice.index is None else choice.index
            self._choices[index].keep_unknown(split_fields(raw))

    def _replace_delta(
        self, choice: schema.ChunkChoice, position: int, parts: ChoiceParts
    ) -> None:
        """Use the field that some servers send instead of a delta.

        A message may be the whole text once more, behind its deltas.
        """
        if choice.message is not None:
            choice.delta, name = choice.message, "message"
            if parts.has_all_of(choice.message.content):
                choice.delta.content = None
        elif choice.text is not None:
            choice.delta, name = schema.MessageDelta(content=choice.text), "text"
        else:
            return
        path = f"$.choices[{position}].delta"
        problem = f"expected a delta, found `{name}`"
        self._notes.add(WarningCode.BODY_MENDED, path, problem)

    def _read_log_probs(
        self, lists: schema.LogProbs, choice: schema.ChunkChoice, position: int
    ) -> LogProbs | None:
        """Return the log probabilities in *lists* of *choice*; None if there are none."""
        path = f"$.choices[{position}].logprobs"
        readings = find_log_probs(lists, path, self._context, choice.token_ids)
        reading = next(readings, None)
        return None if reading is None else LogProbs(reading.load)

    def _response_error(self, problem: str, path: str, data: bytes) -> LiminError:
        if is_error(data):
            return self._status_error(data)
        response = attrs.evolve(self._head, body=data)
        return response_error(problem, path, self._context.secrets, response)

    def _status_error(self, data: bytes) -> LiminError:
        response = attrs.evolve(self._head, body=bytes(data))
        return error_response.status_error(response, self._context.secrets, self._now)
