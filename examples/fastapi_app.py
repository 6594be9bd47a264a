"""A web service: one client per process, a budget per tenant, streams, and refusals as status codes.

    uvicorn fastapi_app:app --workers 4

Set OPENAI_API_KEY to ask the provider instead of a simulator.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# The first that fits. 402 and 429 are the caller's to heed; what a provider did wrong is 502 or 504.
STATUS: list[tuple[type[iron.IronError], int]] = [
    (iron.BudgetError, 402),
    (iron.RateLimitError, 429),
    (iron.UpstreamTimeoutError, 504),
    (iron.UpstreamError, 502),
    (iron.ConfigError, 400),
    (iron.ClosedError, 503),
]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the process's client when it starts to serve; calls in flight end before it stops."""
    options: dict[str, Any] = {"model": "openai/gpt-6-luna", "budget": "5.00"}
    app.state.tenants = {}
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(**options) as app.state.client:
            yield
        return
    async with Simulator() as simulator, simulator.client(**options) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


def budget(request: Request, x_tenant: Annotated[str, Header()]) -> iron.Budget:
    """Give the caller's budget. Each process has its own: a quarter of the money for each of four."""
    tenants: dict[str, iron.Budget] = request.app.state.tenants
    return tenants.setdefault(x_tenant, iron.budget("0.001", name=x_tenant))


Prompt = Annotated[str, Body(embed=True)]
Purse = Annotated[iron.Budget, Depends(budget)]


@app.exception_handler(iron.IronError)
def refuse(_: Request, error: iron.IronError) -> JSONResponse:
    wait = getattr(error, "retry_after", None)
    headers = {} if wait is None else {"retry-after": str(int(wait) + 1)}
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    return JSONResponse({"code": error.code, "message": str(error)}, status, headers)


@app.post("/chat")
async def chat(request: Request, prompt: Prompt, purse: Purse) -> dict[str, Any]:
    with purse:
        reply = await request.app.state.client.chat(prompt, max_tokens=200)
    return {"text": reply.text, "cost": str(reply.cost), "remaining": str(purse.remaining)}


@app.post("/stream")
async def stream(request: Request, prompt: Prompt, purse: Purse) -> StreamingResponse:
    with purse:
        chunks = request.app.state.client.stream(prompt, max_tokens=200)
    await chunks.__aenter__()  # refused here, it is a status code; once events are on their way there is none

    async def events() -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                yield b"data: " + chunk.raw + b"\n\n"
            yield b"data: [DONE]\n\n"
        finally:
            await chunks.aclose()  # whoever hangs up early pays for no more

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/stats")
async def stats(request: Request) -> dict[str, Any]:
    now = request.app.state.client.stats()
    return {"process": os.getpid(), "calls": now.calls, "refused": now.refused, "cost": str(now.cost)}
