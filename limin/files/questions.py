"""A line of an input, as the request that it stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import attrs

from limin.checkpoint.request import RecordedRequest
from limin.errors import ConfigurationError, ConversationError
from limin.files.templates import Template, WrongFieldsError
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import Conversation
from limin.values.media_files import sha256_of
from limin.values.messages import Message
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.files.input_lines import InputLine
    from limin.schemas.json_schema import JsonSchema

_PATH = "/chat/completions"

# Half of a surrogate pair, which JSON may have, and UTF-8 not.
_HALF = re.compile("[\ud800-\udfff]")


@attrs.frozen(kw_only=True)
class Question:
    """One request of a run.

    Attributes:
        line: The line that it stands for.
        conversation: The messages.
        configuration: The other fields of the request.
        body: The request as JSON.
        custom_id: The id of a line of OpenAI's; None of any other.
        reading: How the answer is read, if its request does not say so.
    """

    line: InputLine
    conversation: Conversation
    configuration: ModelConfiguration = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    custom_id: str | None = None
    reading: bytes = attrs.field(default=b"", repr=False)

    def hash(self) -> bytes:
        """Return the SHA-256 of the request's canonical JSON, as checkpoints have it.

        Where the request does not say how its answer is read, that counts, too.
        """
        digest = RecordedRequest.of(self.body, self.conversation).digest
        if not self.reading:
            return digest
        return bytes.fromhex(sha256_of(digest + self.reading))


class PromptReader:
    """Reads lines with a prompt, with messages, or with columns for a template.

    All requests have one configuration.
    """

    def __init__(
        self,
        configuration: ModelConfiguration,
        schema: JsonSchema[object] | None = None,
        *,
        template: Template | None = None,
        system_prompt: str | None = None,
        added: frozenset[str] = frozenset(),
    ) -> None:
        """Read lines as requests of *configuration*.

        Args:
            configuration: The fields of each request.
            schema: The type of each answer; None for any text.
            template: Template of the prompts.
            system_prompt: The system's message before each prompt.
            added: Names of fields that the output adds, which a line must not have.
        """
        self._configuration, self._template = configuration, template
        self._system_prompt, self._added = system_prompt, added
        self._encoder = RequestEncoder.of(configuration, schema)

    def read(self, line: InputLine) -> Question:
        """Return the request that *line* stands for.

        Raises:
            WrongFieldsError: If it stands for none.
        """
        conversation = self.read_conversation(line)
        return Question(
            line=line,
            conversation=conversation,
            configuration=self._configuration,
            body=encode_request(self._encoder, conversation),
        )

    def read_conversation(self, line: InputLine) -> Conversation:
        """Return the conversation that *line* stands for.

        Raises:
            WrongFieldsError: If it stands for none, or has a field that the output adds.
        """
        taken = sorted(self._added & line.fields.keys())
        if taken:
            names = ", ".join(taken)
            problem = (
                f"the output would overwrite {names}; --prefix out_ renames its fields"
            )
            raise WrongFieldsError(problem)
        return self._read_fields(line.fields)

    def _read_fields(self, fields: Mapping[str, object]) -> Conversation:
        if self._template is not None:
            filled = self._template.fill(fields)
            return Conversation.from_prompts(filled, self._system_prompt)
        if ("prompt" in fields) == ("messages" in fields):
            found = "both" if "prompt" in fields else "neither"
            problem = f"expected prompt or messages, or a --template, found {found}"
            raise WrongFieldsError(problem)
        if "messages" in fields:
            conversation = read_messages(fields["messages"])
            if self._system_prompt is not None:
                system = Message("system", self._system_prompt)
                conversation.messages.insert(0, system)
            return conversation
        prompt: object = fields["prompt"]
        if not isinstance(prompt, str):
            problem = "expected a text in prompt, found another value"
            raise WrongFieldsError(problem)
        return Conversation.from_prompts(prompt, self._system_prompt)


class BatchReader:
    """Reads lines of OpenAI's Batch API: each has its own parameters, and nothing else.

    Source: https://platform.openai.com/docs/guides/batch, "Preparing your batch file".
    """

    def __init__(self, model: str | None, default_model: str | None) -> None:
        """Read lines whose model is *model*, or else their own, or else the default."""
        self._model, self._default_model = model, default_model
        self._numbers: dict[str, int] = {}

    def read(self, line: InputLine) -> Question:
        """Return the request that *line* stands for.

        Raises:
            WrongFieldsError: If it stands for none, or its id is that of another line.
        """
        custom_id, body = line.fields.get("custom_id"), line.fields.get("body")
        if not isinstance(custom_id, str) or not custom_id:
            problem = "expected a text in custom_id, found none"
            raise WrongFieldsError(problem)
        if _HALF.search(custom_id):  # The output could not tell it from another.
            problem = "expected Unicode text in custom_id, found half of a surrogate pair"
            raise WrongFieldsError(problem)
        number = self._numbers.setdefault(custom_id, line.number)
        if number != line.number:
            problem = f"expected a custom_id of its own, found that of line {number}"
            raise WrongFieldsError(problem)
        if line.fields.get("method") != "POST" or not _is_chat(line.fields.get("url")):
            problem = f"expected method POST and a url that ends in {_PATH}, found others"
            raise WrongFieldsError(problem)
        if not isinstance(body, dict):
            problem = "expected an object in body, found none"
            raise WrongFieldsError(problem)
        return self._read_body(line, cast("dict[str, object]", body), custom_id)

    def _read_body(
        self, line: InputLine, body: Mapping[str, object], custom_id: str
    ) -> Question:
        rest = {name: value for name, value in body.items() if name != "messages"}
        own_model = rest.pop("model", None)
        model = self._model or own_model or self._default_model
        if rest.pop("stream", None):
            problem = "expected no stream in body, found one"
            raise WrongFieldsError(problem)
        if not isinstance(model, str):
            problem = "expected the name of a model in body, or -m, found none"
            raise WrongFieldsError(problem)
        conversation = read_messages(body.get("messages"))
        try:
            configuration = ModelConfiguration(
                model=model, temperature=None, extra_body=rest
            )
            encoder = RequestEncoder.of(configuration)
        except ConfigurationError as error:
            raise WrongFieldsError(str(error)) from None
        return Question(
            line=line,
            conversation=conversation,
            configuration=configuration,
            body=encode_request(encoder, conversation),
            custom_id=custom_id,
        )


def read_messages(value: object) -> Conversation:
    """Return the conversation in *value*, a list of messages of OpenAI's.

    Raises:
        WrongFieldsError: If there is none.
    """
    if not isinstance(value, list) or not value:
        problem = "expected a list in messages, not empty, found none"
        raise WrongFieldsError(problem)
    try:
        return Conversation.from_openai(cast("list[dict[str, object]]", value))
    except ConversationError as error:
        problem = f"messages: {error}"
        raise WrongFieldsError(problem) from None


def _is_chat(url: object) -> bool:
    return isinstance(url, str) and url.endswith(_PATH)


def encode_request(encoder: RequestEncoder, conversation: Conversation) -> bytes:
    """Return the request about *conversation* as JSON.

    Raises:
        WrongFieldsError: If there can be none.
    """
    try:
        return encoder.encode(conversation)
    except ConversationError as error:
        raise WrongFieldsError(str(error)) from None
