"""The log probabilities of one field of a JSON answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from limin.values.tokens import prob_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.schemas.choices import Scalar
    from limin.values.decisions import Decision


@attrs.frozen(kw_only=True)
class FieldLogProbs:
    """A scalar of a JSON answer, and the tokens that spell it.

    A scalar is a string, a number, true, false or null.

    Source: `choices[].logprobs.content[]`.

    Attributes:
        path: Where it stands: `$.name` for a key that is an identifier,
            `$["other name"]` for any other, `$[0]` for an element of an array, and `$`
            for an answer that is a scalar itself.
        text: The scalar as it is written, with escapes; of a string what stands between
            its quotation marks.
        first: Position of the first of its tokens, from 0.
        last: Position of the last of its tokens.
        log_prob: Joint log probability of its tokens, in nats: the natural logarithm,
            at most 0 except for rounding. Given the text before them, it says how
            probable these tokens were, and leaves out other ways to spell the same. It
            does not hold the token that ends the scalar. None if that of one token is
            not known.
        shares_tokens: Whether one of its tokens covers more than the scalar and white
            space, as `",` and `":"` do; then `log_prob` is that of more than the scalar.
            An empty string has no token of its own: it shares the one with its closing
            quotation mark, by which the model decided that it is empty.
    """

    path: str
    text: str
    first: int
    last: int
    log_prob: float | None
    shares_tokens: bool
    _decide: Callable[[], Decision[Scalar] | None] | None = attrs.field(
        default=None, alias="decide", eq=False, repr=False
    )

    @property
    def distribution(self) -> Decision[Scalar] | None:
        """Which of its allowed values it is, how sure, and what cannot be known.

        For a Literal, an Enum or a bool of the `response_type`, as JSON has its values, if
        alternatives were listed. It is about the answers with the same tokens before the
        value. None for other fields.
        """
        return None if self._decide is None else self._decide()

    @property
    def prob(self) -> float | None:
        """Joint probability of its tokens, from 0 to 1 except for rounding.

        None if not known.
        """
        return prob_of(self.log_prob)
