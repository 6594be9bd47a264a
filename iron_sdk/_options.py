"""Keyword arguments of the verbs, as editors and type checkers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iron_sdk._answers import Approver, Detector
    from iron_sdk._policy import Policy
    from iron_sdk._types import Money


class CallOptions(TypedDict, total=False):
    """Bounds of one call. None means the same as leaving the argument out."""

    model: str | None
    """`provider/model`, or an alias from the configuration. Default: the configuration's `default_model`."""
    timeout: float | None
    """Seconds for the whole call, waiting and retries included. Default: the configuration's, 600."""
    max_cost: Money | None
    """The most that the call may cost, in US dollars, all attempts together. Default: no cap of its own."""
    policy: Policy | None
    """Rules that hold this call, beside those of its blocks and its client. Default: none of its own."""
    max_attempts: int | None
    """Requests sent to one upstream, the first included. Default: the configuration's, 3."""
    extra_body: Mapping[str, Any] | None
    """Further fields of the request; at run time any keyword that is not known passes through as well."""


class ChatOptions(CallOptions, total=False):
    """Arguments of `chat` and `stream`, by OpenAI's names."""

    max_tokens: int | None
    """The most output tokens of each choice, reasoning included. Default: the model's own maximum."""
    max_completion_tokens: int | None
    """The same as `max_tokens`."""
    validate_output: bool | None
    """Whether the reply has to be what `response_format` asks for. Default: the configuration's, True."""
    max_repairs: int | None
    """How often an answer that is not is sent back to the model. Default: the configuration's, 0."""
    n: int | None
    """How many choices to generate. Default: 1."""
    temperature: float | None
    top_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    tools: Sequence[object] | None
    """Functions that the model may call: dicts, dataclasses or Pydantic models."""
    tool_choice: str | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    approve: Approver | None
    """Decides about calls of tools that need an approval. Default: the client's."""
    reasoning_effort: str | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    top_logprobs: int | None
    metadata: Mapping[str, str] | None
    modalities: Sequence[str] | None
    audio: Mapping[str, Any] | None
    prediction: Mapping[str, Any] | None
    prompt_cache_key: str | None
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None


class ClientOptions(TypedDict, total=False):
    """Arguments of `Client` beside its configuration."""

    budget: Money | None
    timeout: float | None
    model: str | None
    agent: str | None
    tags: Sequence[str] | None
    max_attempts: int | None
    base_url: str | None
    api_key: str | None
    detectors: Mapping[str, Detector] | None
    approve: Approver | None


class SimulatorOptions(TypedDict, total=False):
    """Settings of a simulator beside its rules."""

    seed: int
    """Default: 0."""
    bind: str
    """Address to listen on. Default: `127.0.0.1:0`, a free port."""
    api_key: str | None
    """The key that clients must send. Default: any key or none."""
    latency_ms: float | tuple[float, float]
    """Wait before the head of a reply, or a pair to draw from evenly. Default: 0."""
    tokens_per_second: float | None
    """Rate of generation. Default: at once."""
    tokens_per_chunk: int
    """Default: 1."""
    models: Sequence[str]
    """Names that the API lists."""
    any_model: bool
    """Whether other models are served as well. Default: True."""
    record_limit: int
    """Most requests that are remembered. Default: 1000."""
    record_body_limit_bytes: int
    """Longest request body that is remembered. Default: 1 MiB."""
    max_body_bytes: int
    """Longest request body that is accepted. Default: 64 MiB."""
    created_unix: int
    """The `created` of every reply, in seconds since 1970."""
    rate_limit_headers: Mapping[str, int] | None
    """`requests` and `tokens` per minute, announced but not enforced. Default: no such headers."""


class EmbedOptions(CallOptions, total=False):
    """Arguments of `embed`, by OpenAI's names."""

    dimensions: int | None
    """Length of each vector. Default: the model's own."""
    encoding_format: str | None
    """`float` or `base64`; the vectors are floats either way."""
    user: str | None
