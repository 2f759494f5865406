"""Lines as questions that a model decides, all between the same labels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from limin.errors import ConversationError
from limin.files.questions import Question, encode_request
from limin.files.templates import WrongFieldsError
from limin.recipes.decisions import first_request
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from limin.deciding import DecisionSetting, Labels
    from limin.files.input_lines import InputLine
    from limin.files.questions import PromptReader


class DecisionReader:
    """Reads lines as questions with the labels of one setting."""

    def __init__(
        self, prompts: PromptReader, setting: DecisionSetting, labels: Labels
    ) -> None:
        """Read lines as *prompts* does, to decide between *labels* by *setting*."""
        self._prompts, self._setting, self._labels = prompts, setting, labels
        self._encoder = RequestEncoder.of(setting.configuration)
        self._reading = _describe_reading(setting, labels)

    def read(self, line: InputLine) -> Question:
        """Return the question on *line*, with the first request about it.

        Raises:
            WrongFieldsError: If there is none.
        """
        conversation = self._prompts.read_conversation(line)
        try:
            asked = first_request(conversation, self._labels, self._setting.style)
        except ConversationError as error:
            raise WrongFieldsError(str(error)) from None
        return Question(
            line=line,
            conversation=conversation,
            configuration=self._setting.configuration,
            body=encode_request(self._encoder, asked),
            reading=self._reading,
        )


def _describe_reading(setting: DecisionSetting, labels: Labels) -> bytes:
    """Return what makes a decision, beside the first request, as canonical JSON.

    The order of the labels makes none. Whether a text may decide is left out, so that
    what failed for want of log probabilities can be asked again alone.
    """
    style = setting.style
    reading = {"labels": sorted(labels), "orders": style.orders, "fold": style.fold}
    return json.dumps(reading, separators=(",", ":"), sort_keys=True).encode()
