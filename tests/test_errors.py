import copy
import pickle

import attrs
import pytest
from builders import body_of, read

import limin
from limin import errors
from limin.errors import (
    AnswerWarningError,
    AuthenticationError,
    BadRequestError,
    BatchError,
    CertificateError,
    CheckpointError,
    ConfigurationError,
    ConnectError,
    ContentFilterError,
    ContextLengthError,
    ConversationError,
    JSONTextError,
    LiminError,
    LogProbsMissingError,
    NotFoundError,
    NotSentError,
    PermissionDeniedError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    StatusError,
    StreamError,
    StructuredOutputError,
    TokenBudgetError,
    ToolCallError,
    ToolRunError,
    TransportError,
    UnexpectedError,
)
from limin.values.display import Displayed
from limin.values.safe_text import escape_controls
from limin.values.timing import Attempt
from limin.values.warnings import ResponseWarning, WarningCode

PARENTS: dict[type[LiminError], tuple[type[Exception], ...]] = {
    ConfigurationError: (LiminError, ValueError),
    ConversationError: (LiminError, ValueError),
    TransportError: (LiminError,),
    ConnectError: (TransportError,),
    ProtocolError: (TransportError,),
    ResponseTooLargeError: (ProtocolError,),
    CertificateError: (ConnectError,),
    RequestTimeoutError: (TransportError,),
    StatusError: (LiminError,),
    BadRequestError: (StatusError,),
    ContextLengthError: (BadRequestError,),
    ContentFilterError: (BadRequestError,),
    AuthenticationError: (StatusError,),
    PermissionDeniedError: (StatusError,),
    NotFoundError: (StatusError,),
    RateLimitError: (StatusError,),
    QuotaError: (RateLimitError,),
    ServerError: (StatusError,),
    ResponseError: (LiminError,),
    JSONTextError: (LiminError, ValueError),
    AnswerWarningError: (LiminError,),
    LogProbsMissingError: (LiminError,),
    StructuredOutputError: (LiminError,),
    NotSentError: (LiminError,),
    TokenBudgetError: (LiminError,),
    StreamError: (LiminError,),
    BatchError: (LiminError,),
    CheckpointError: (LiminError,),
    ToolCallError: (LiminError,),
    ToolRunError: (LiminError,),
    UnexpectedError: (LiminError,),
}

STATUS_ERRORS = [kind for kind in PARENTS if issubclass(kind, StatusError)]

BODY = b'{"error": "the secret prompt"}'

MENDED = ResponseWarning(WarningCode.BODY_MENDED, "$.id", "expected text, found a number")
MISSING = ResponseWarning(
    WarningCode.LOG_PROBS_MISSING, "$.choices[0].logprobs", "none came", 2
)

EXAMPLES: list[LiminError] = [
    LiminError("something"),
    ConfigurationError("seed: expected an integer, or None, found 1.5"),
    ConversationError("message 0: expected a Message, found a str"),
    TransportError("the network is down"),
    ConnectError("no route to host"),
    ProtocolError("not HTTP"),
    ResponseTooLargeError("too large", 5),
    CertificateError("self-signed"),
    RequestTimeoutError("no complete answer within 3 seconds", 3.0),
    *(
        kind(400, "no", "req-1", "code", "type", "param", BODY)  # every field its own
        for kind in STATUS_ERRORS
    ),
    ResponseError("expected a list", "$.choices", "{", 201, "req-1", BODY),
    JSONTextError("expected a value, found 'x'", 3),
    AnswerWarningError((MENDED, MISSING), read(body_of("4"))),
    LogProbsMissingError(read(body_of("4"))),
    StructuredOutputError(read(body_of("4")), "invalid", "$.city", "expected a text"),
    StreamError("the server hung up", read(body_of("4")), ProtocolError("bang")),
    NotSentError("the key is wrong"),
    TokenBudgetError(15, 20),
    CheckpointError("no space left on device", "run.jsonl"),
    ToolCallError("expected this, found that", "$.city"),
    ToolRunError("KeyError"),
    UnexpectedError("KeyError"),
    BatchError([NotSentError("a"), ConnectError("b")], AuthenticationError(401, "c")),
]


def fields_of(error: LiminError) -> dict[str, object]:
    """The fields of *error* as text, errors inside by theirs."""
    return {
        name: repr(getattr(error, name))
        for name in attrs.fields_dict(type(error))
        if attrs.has(type(error))
    }


def test_tree() -> None:
    """Every exception stands where the documentation says, and none is left out."""
    assert {kind: kind.__bases__ for kind in PARENTS} == PARENTS
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == {LiminError, *PARENTS}
    assert LiminError.__bases__ == (Exception, Displayed)


def test_drawn_tree() -> None:
    """The tree in the docstring is the tree of the classes."""
    _, _, drawing = (errors.__doc__ or "").partition("The tree::")
    above: list[type] = []
    drawn: dict[type, type] = {}
    for line in filter(None, map(str.rstrip, drawing.splitlines())):
        depth = (len(line) - len(line.lstrip())) // 4 - 1
        kind = getattr(errors, line.split()[0])
        above[depth:] = [kind]
        drawn[kind] = above[depth - 1] if depth else Exception
    bases = {kind: bases[0] for kind, bases in PARENTS.items()}
    assert drawn == {LiminError: Exception, **bases}


def test_every_error_is_public() -> None:
    """Each error can be imported from `limin` to be caught."""
    for kind in (LiminError, *PARENTS):
        assert getattr(limin, kind.__name__) is kind
        assert kind.__name__ in limin.__all__


@pytest.mark.parametrize("kind", [ConfigurationError, ConversationError])
def test_mistakes_of_the_caller_are_value_errors(kind: type[LiminError]) -> None:
    """Code that catches ValueError catches a wrong argument."""
    problem = "expected this, found that"
    with pytest.raises(ValueError, match=f"^{problem}$"):
        raise kind(problem)


@pytest.mark.parametrize(
    "error", [e for e in EXAMPLES if attrs.has(type(e))], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle"])
def test_copied_error_keeps_its_fields(error: LiminError, way: str) -> None:
    """An error from another process has all the fields that it had there."""
    error = copy.copy(error)  # It is not ours to change.
    error.attempts = (Attempt(start_time=1000.0, duration=2.5),)
    if way == "copy":
        copied = copy.copy(error)
    elif way == "deepcopy":
        copied = copy.deepcopy(error)
    else:
        copied = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert type(copied) is type(error)
    assert copied is not error
    assert [attempt.duration for attempt in copied.attempts] == [2.5]
    assert fields_of(copied) == fields_of(error)
    assert (str(copied), repr(copied)) == (str(error), repr(error))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigurationError("this"), "this"),
        (ConversationError("that"), "that"),
        (CheckpointError("full", "run.jsonl"), "checkpoint run.jsonl: full"),
        (
            BatchError([NotSentError("a")], CheckpointError("full", "run.jsonl")),
            (
                "1 of 1 prompts failed (NotSentError 1); stopped early: "
                "checkpoint run.jsonl: full"
            ),
        ),
        (
            BatchError([], CheckpointError("full", "run.jsonl")),
            "0 of 0 prompts failed; stopped early: checkpoint run.jsonl: full",
        ),
        (BatchError([], noun="item"), "the batch broke off"),
        (
            BatchError([read(body_of("4"))], noun="item"),
            "0 of 1 items failed; the batch broke off",
        ),
        (JSONTextError("expected \x1b", 3), "expected ␛ at character 3"),
        (ToolCallError("odd", "$.city"), "odd at `$.city`"),
        (ToolCallError("odd \x1b"), "odd ␛"),
        (ToolRunError("KeyError"), "a run with tools was ended by KeyError"),
        (UnexpectedError("KeyError"), "unexpected KeyError while this prompt was asked"),
        (TransportError("the network is down"), "the network is down"),
        (RequestTimeoutError("too slow", 3.0), "too slow"),
        (StatusError(400, "no"), "the server answered 400: no"),
        (StatusError(502, ""), "the server answered 502"),
        (ServerError(502, "", "req-1"), "the server answered 502 (request req-1)"),
        (
            RateLimitError(429, "slow down", "req-1", code="tokens"),
            "the server answered 429: slow down (request req-1)",
        ),
        (
            ResponseError("expected a list of choices, found nothing", "$.choices"),
            (
                "expected a list of choices, found nothing at `$.choices` of the server's "
                "answer"
            ),
        ),
        (
            ResponseError("expected JSON", reason="<html>", request_id="req-1"),
            (
                "expected JSON at `$` of the server's answer, which begins: <html> "
                "(request req-1)"
            ),
        ),
        (
            AnswerWarningError((MENDED,), read(body_of("4"))),
            "expected text, found a number (at `$.id`; body-mended)",
        ),
        (
            AnswerWarningError((MISSING, MENDED, MENDED), read(body_of("4"))),
            (
                "none came (at `$.choices[0].logprobs` and 1 more; log-probs-missing), "
                "and 2 more"
            ),
        ),
        (NotSentError("the key is wrong"), "not sent: the key is wrong"),
    ],
)
def test_error_says_what_happened(error: LiminError, text: str) -> None:
    """One sentence holds all that is known, and no more."""
    assert str(error) == text


@pytest.mark.parametrize(
    "error", [StatusError(400, "no", body=BODY), ResponseError("x", body=BODY)]
)
def test_body_stays_out_of_sight(error: StatusError | ResponseError) -> None:
    """The body, which may quote the prompt, is a field and is never printed."""
    assert error.body == BODY
    assert "secret" not in repr(error) + str(error)


def test_timeout_need_not_be_known() -> None:
    """A limit that is not known is None, never zero."""
    assert RequestTimeoutError("too slow").timeout is None


def test_batch_error_counts_its_errors() -> None:
    """The message counts the failed prompts by kind, most frequent first."""
    done = read(body_of("4"))
    slow, busy = RateLimitError(429, "slow down"), RateLimitError(429, "too busy")
    failed = ConnectError("no route to host")
    error = BatchError([done, failed, slow, done, busy])
    assert error.errors == {1: failed, 2: slow, 4: busy}
    assert str(error) == (
        "3 of 5 prompts failed (RateLimitError 2, ConnectError 1); "
        "the first, prompt 1: no route to host"
    )


def test_batch_error_says_why_it_stopped() -> None:
    """A batch that stopped early names the error that would have struck every prompt."""
    wrong_key = AuthenticationError(401, "wrong key")
    not_sent = NotSentError("the key is wrong")
    error = BatchError([wrong_key, not_sent, not_sent], wrong_key)
    assert str(error) == (
        "3 of 3 prompts failed (NotSentError 2, AuthenticationError 1); "
        "stopped early, since it would strike every prompt: "
        "the server answered 401: wrong key"
    )


def test_batch_error_without_errors() -> None:
    """A batch without a failed prompt has a message, too."""
    error = BatchError([read(body_of("4"))])
    assert error.errors == {}
    assert str(error).startswith("0 of 1 prompts failed")


def test_batch_error_keeps_foreign_texts_to_itself() -> None:
    """The text of an exception that is not limin's may hold a prompt; its class may not."""
    foreign, ours = LookupError("the secret prompt"), ConnectError("no route to host")
    error = BatchError(["a value", foreign, ours, foreign], None, "item")  # type: ignore[list-item] # of run_parallel
    assert error.errors == {1: foreign, 2: ours, 3: foreign}
    assert str(error) == (
        "3 of 4 items failed (LookupError 2, ConnectError 1); "
        "the first, item 1: LookupError"
    )
    assert "secret" not in repr(error)
    assert str(BatchError([ours], None, "item")).endswith("item 0: no route to host")
    stopped = BatchError([ours], AuthenticationError(401, "no"), "item")
    assert "it would strike every item: the server answered 401" in str(stopped)
    assert pickle.loads(pickle.dumps(error)).noun == "item"  # noqa: S301 (our own bytes)


def test_batch_error_keeps_the_completions() -> None:
    """No finished completion is lost on the way to another process."""
    done = read(body_of("4"))
    error = BatchError([done, ConnectError("no route to host")])
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert restored.results[0] == done
    assert str(restored.results[1]) == "no route to host"
    assert "4" not in repr(error)


def test_answer_warning_error_keeps_the_completion() -> None:
    """The completion with warnings is kept, also in another process."""
    done = read(body_of("a secret answer"))
    error = AnswerWarningError((MENDED, MISSING), done)
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert error.completion is done
    assert restored.completion == done
    assert restored.warnings == error.warnings == (MENDED, MISSING)
    assert "secret" not in repr(error) + str(error)


def test_answer_warning_error_takes_its_place_in_a_batch() -> None:
    """In a batch it counts as a failed prompt, with its completion at hand."""
    done, odd = read(body_of("4")), AnswerWarningError((MENDED,), read(body_of("5")))
    error = BatchError([done, odd])
    assert error.errors == {1: odd}
    assert str(error) == (
        "1 of 2 prompts failed (AnswerWarningError 1); the first, prompt 1: "
        "expected text, found a number (at `$.id`; body-mended)"
    )


@pytest.mark.parametrize(
    "error",
    [
        LiminError("\x1b[2J"),
        ConfigurationError("\x1b[2J"),
        ConversationError("\u202e"),
        TransportError("\x9b2J"),
        StatusError(500, "\x1b[2J", request_id="\x07"),
        ResponseError("\x1b", path="\x1b", reason="\u200b", request_id="\x1b"),
        NotSentError("\x1b"),
        CheckpointError("\x1b", "\r"),
        UnexpectedError("\x1b"),
        BatchError([StatusError(500, "\x1b[2J")]),
        BatchError([type("\x1b", (LiminError,), {})()]),
        BatchError([], stopped_by=NotSentError("\x1b")),
    ],
)
def test_sentence_does_not_act(error: LiminError) -> None:
    """No error prints a control character from outside."""
    assert escape_controls(str(error)) == str(error)


def test_warning_does_not_act() -> None:
    """No warning prints a control character from outside."""
    warning = ResponseWarning(WarningCode.BODY_MENDED, "$.\x1b", "found \x1b[2J\u202e")
    assert str(warning) == "found ␛[2J⟨U+202E⟩ (at `$.␛`; body-mended)"


def test_facts_about_a_connection_survive_copies() -> None:
    """What the transport says of an error is no part of its place in the arguments."""
    error = RequestTimeoutError("too late", 3.0)
    assert (error.died_idle, error.is_permanent) == (False, False)
    error.died_idle = error.is_permanent = True
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own pickle)
    for copied in (copy.copy(error), restored):
        assert (copied.reason, copied.timeout) == ("too late", 3.0)
        assert copied.died_idle
        assert copied.is_permanent
    assert not RequestTimeoutError("too late").died_idle
