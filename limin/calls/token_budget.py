"""A budget of tokens: what the answers of a batch have used, and whether it is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.calls.observer import Observer
from limin.errors import LiminError, NotSentError, TokenBudgetError
from limin.policy.failures import StopBatch
from limin.values.completion import TextCompletion
from limin.values.result_parts import answers_in

if TYPE_CHECKING:
    from limin.calls.observer import ObservedCall
    from limin.values.conversation import Conversation

# English takes about four characters a token; see `policy.rate_limits`.
_CHARACTERS_PER_TOKEN = 4


class TokenBudget(Observer):
    """Counts the tokens of calls, those of answers that are not used among them.

    Attributes:
        limit: Tokens that may be used before no more is asked.
        used: Tokens that were used, by the server's count. Those of an answer that it
            did not count are estimated by the length of the texts.
    """

    def __init__(self, limit: int) -> None:
        """Allow *limit* tokens."""
        self.limit, self.used = limit, 0

    def check(self, conversation: Conversation) -> None:
        """Stop the batch instead of asking about *conversation* if the budget is spent.

        Raises:
            StopBatch: If it is spent.
        """
        if self.used >= self.limit:
            error = TokenBudgetError(self.limit, self.used)
            not_sent = NotSentError(str(error))
            not_sent.conversation = conversation
            raise StopBatch(not_sent, error)

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:  # noqa: ARG002 (an observer's signature)
        """Count the part of an answer that came before *error*."""
        self._count(error)

    def finished(
        self,
        call: ObservedCall,  # noqa: ARG002 (an observer's signature)
        result: TextCompletion[object] | BaseException | None,
    ) -> None:
        """Count the tokens of *result*."""
        self._count(result)

    def _count(self, result: TextCompletion[object] | BaseException | None) -> None:
        """Count the tokens of a completion, or of the one that an error holds."""
        answers: tuple[TextCompletion[object], ...] = ()
        if isinstance(result, TextCompletion):
            answers = (result,)
        elif isinstance(result, LiminError):
            answers = answers_in(result)
        self.used += sum(map(_tokens_of, answers))


def _tokens_of(completion: TextCompletion[object]) -> int:
    usage = completion.usage
    if usage is not None and usage.total_tokens is not None:
        return usage.total_tokens
    if usage is not None and usage.completion_tokens is not None:
        return usage.completion_tokens + (usage.prompt_tokens or 0)
    answered = (choice.message + (choice.reasoning or "") for choice in completion.choices)
    size = sum(map(len, completion.conversation.texts())) + sum(map(len, answered))
    return -(-size // _CHARACTERS_PER_TOKEN)
