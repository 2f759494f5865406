"""Every name that telemetry has, and the versions of the conventions that they are of.

The conventions for generative AI have a repository of their own, which has no release
yet: https://github.com/open-telemetry/semantic-conventions-genai. The names of spans and
of attributes here are those of its commit 024a4f944a1291fcb627c9c47da69e79868dd15e (schema
gen-ai-dev/1.42.0-dev). The last release, 1.41.0 of the general conventions, has the same,
but no `gen_ai.request.reasoning.level`, and `gen_ai.request.top_k` as a double.

The metrics were renamed in that repository. By default they have the names of 1.41.0,
which dashboards know. `OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental` asks for
those of the commit.
"""

from __future__ import annotations

from typing import NamedTuple

SCOPE = "limin"
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
LATEST_SCHEMA = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

CHAT = "chat"

# Attributes of the request.
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
REQUEST_STREAM = "gen_ai.request.stream"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

# Attributes of the answer.
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
ERROR_TYPE = "error.type"

# Content, which is recorded only if it is asked for.
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
DETAILS_EVENT = "gen_ai.client.inference.operation.details"

# Attributes of metrics alone.
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 (the name of an attribute)
TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105 (the name of an attribute)

# Spans of attempts, which the conventions leave to the library.
ATTEMPT_SPAN = "limin.attempt"
ATTEMPT_NUMBER = "limin.attempt.number"
ATTEMPT_WAIT = "limin.attempt.wait"

# The finish reason of an answer that came to no end, and one that is no word.
NO_FINISH_REASON, ODD_FINISH_REASON = "error", "_OTHER"

# The bounds that the conventions advise for histograms: seconds and tokens.
SECONDS = tuple(round(0.01 * 2**power, 2) for power in range(14))
TOKENS = tuple(float(4**power) for power in range(14))


class Metric(NamedTuple):
    """The name of a metric, its unit, and what it measures.

    Attributes:
        name: The name.
        unit: The unit, as UCUM writes it.
        description: What it measures.
    """

    name: str
    unit: str
    description: str


_FIRST_CHUNK = "Time from the begin of the call to the first chunk of its answer."
_INPUT, _OUTPUT = "Number of tokens of prompts.", "Number of tokens of answers."

# 1.41.0
DURATION = Metric("gen_ai.client.operation.duration", "s", "Duration of the call.")
FIRST_CHUNK = Metric("gen_ai.client.operation.time_to_first_chunk", "s", _FIRST_CHUNK)
TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage", "{token}", "Number of tokens of prompts and answers."
)

# The commit.
LATEST_DURATION = Metric("gen_ai.client.inference.duration", "s", DURATION.description)
LATEST_FIRST_CHUNK = Metric(
    "gen_ai.client.inference.time_to_first_chunk", "s", _FIRST_CHUNK
)
LATEST_INPUT = Metric("gen_ai.client.inference.usage.input_tokens", "{token}", _INPUT)
LATEST_OUTPUT = Metric("gen_ai.client.inference.usage.output_tokens", "{token}", _OUTPUT)
LATEST_CACHED = Metric(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "{token}",
    "Number of tokens of prompts that were read from a cache.",
)
LATEST_REASONING = Metric(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "{token}",
    "Number of tokens of reasoning.",
)
LATEST_INPUT_OF_CALL = Metric(
    "gen_ai.client.inference.operation.input_tokens", "{token}", _INPUT
)
LATEST_OUTPUT_OF_CALL = Metric(
    "gen_ai.client.inference.operation.output_tokens", "{token}", _OUTPUT
)

# Who serves a model, by patterns of the host's name.
PROVIDERS = (
    ("api.openai.com", "openai"),
    ("*.openai.azure.com", "azure.ai.openai"),
    ("*.cognitiveservices.azure.com", "azure.ai.openai"),
    ("*.services.ai.azure.com", "azure.ai.inference"),
    ("*.models.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("*-aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.anthropic.com", "anthropic"),
    ("bedrock-*.amazonaws.com", "aws.bedrock"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("*.ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
)
# Any other server that speaks OpenAI's protocol; the conventions have no name for it.
OTHER_PROVIDER = "openai_compatible"
