"""The simulator's faults, as OpenAI's own client sees them."""

from __future__ import annotations

import openai
import pytest

from iron_sdk.testing import Simulator

MODEL = "gpt-5-mini"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


def open_client(simulator: Simulator, **options: float) -> openai.OpenAI:
    return openai.OpenAI(base_url=simulator.url, api_key="sk-simulated", **{"max_retries": 0, **options})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_statuses_are_of_the_right_class(status, error):
    rules = [{"fault": {"kind": "status", "status": status}}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        with pytest.raises(error) as refused:
            client.chat.completions.create(**ASK)
        assert refused.value.status_code == status
        assert refused.value.request_id


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "refuse"}, openai.APIConnectionError),
        ({"kind": "reset", "at": "before_headers"}, openai.APIConnectionError),
        ({"kind": "stall", "at": "before_headers"}, openai.APITimeoutError),
    ],
)
def test_connections_that_break_are_of_the_right_class(fault, error):
    with (
        Simulator(rules=[{"fault": fault}]) as simulator,
        open_client(simulator, timeout=0.5) as client,
        pytest.raises(error),
    ):
        client.chat.completions.create(**ASK)


def test_what_passes_is_tried_again_by_the_client_itself():
    rules = [{"times": 2, "fault": {"kind": "status", "status": 429, "retry_after": 0}}]
    with Simulator(rules=rules) as simulator, open_client(simulator, max_retries=2) as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == "echo: Hello"
        assert simulator.stats()["by_status"] == {"429": 2, "200": 1}


def test_an_error_in_the_middle_of_a_stream_is_one():
    event = {"kind": "error_event", "after_chunks": 3}
    rules = [{"reply": {"text": "one two three"}, "fault": event}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        texts = []
        with pytest.raises(openai.APIError, match="The server had an error") as broken:
            for chunk in client.chat.completions.create(**ASK, stream=True):
                texts.append(chunk.choices[0].delta.content or "")  # noqa: PERF401  (what came before it stays)
    assert "".join(texts)
    assert broken.value.type == "server_error"


def test_a_deployment_of_azure_is_called_by_its_own_client():
    with Simulator(api_key="sk-azure") as simulator:
        resource = simulator.url.removesuffix("/v1")
        with openai.AzureOpenAI(
            azure_endpoint=resource, azure_deployment="mine", api_version="2024-10-21", api_key="sk-azure"
        ) as client:
            reply = client.chat.completions.create(**ASK)
        with openai.AzureOpenAI(
            azure_endpoint=resource, api_version="2024-10-21", azure_ad_token="sk-azure"
        ) as client:
            client.embeddings.create(model="embedder", input=["a"])
        with (
            openai.AzureOpenAI(
                azure_endpoint=resource, api_version="latest", api_key="sk-azure", max_retries=0
            ) as client,
            pytest.raises(openai.NotFoundError),
        ):
            client.chat.completions.create(**ASK)
        paths = [request["path"] for request in simulator.requests()]
    assert (reply.choices[0].message.content, reply.model) == ("echo: Hello", "mine")
    assert paths[:2] == [
        "/openai/deployments/mine/chat/completions",
        "/openai/deployments/embedder/embeddings",
    ]
