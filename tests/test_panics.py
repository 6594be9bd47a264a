"""A panic in native code: an InternalError that tells where, and nothing of what was being worked on."""

from __future__ import annotations

from child import TIMEOUT_SECONDS, start

# PyO3 goes on unwinding where code of an argument raises its own PanicException: a panic like any other.
PROGRAM = """
class Misbehaved:
    def __getattr__(self, name):
        raise ValueError(name)

try:
    sync_client().chat([Misbehaved()])
except ValueError:
    pass
(PanicException,) = (kind for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException")

class Panicking:
    def __getattr__(self, name):
        raise PanicException("the prompt")

    def __str__(self):
        raise PanicException("the prompt")

async def drained(client):
    async for _ in client.stream([Panicking()]):
        pass

async def main():
    one, other = client(), sync_client()
    entries = [
        lambda: one.chat([Panicking()]),
        lambda: one.chat("Hello", metadata={"it": Panicking()}),
        lambda: one.embed("Hello", it=Panicking()),
        lambda: drained(one),
        lambda: asyncio.to_thread(other.chat, [Panicking()]),
        lambda: asyncio.to_thread(other.embed, "Hello", it=Panicking()),
    ]
    for entry in entries:
        try:
            await entry()
        except Exception as error:
            print(type(error).__name__, error.code, error.retryable, error)
    print((await one.chat("Hello")).text)

asyncio.run(main())
"""


def test_it_becomes_an_internal_error_and_calls_go_on(iron_simulator):
    with start(PROGRAM, simulator=iron_simulator) as child:
        output, errors = child.communicate(timeout=TIMEOUT_SECONDS)
    assert child.returncode == 0, errors
    *panics, after = output.splitlines()
    assert panics == ["InternalError internal False internal error: a panic; please report it"] * 6
    assert after == "echo: Hello"
