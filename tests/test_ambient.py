"""What is current, what a call may carry, and how a context begins and ends."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any

import pytest

import meshtrace
from meshtrace import ConfigurationError, Sampling, TraceContext
from meshtrace.ambient import CURRENT, Entered, Stepwise, leave
from meshtrace.relay.snapshot import Snapshot

ROOT = Path(__file__).parent.parent
REVIEWS = "http://reviews:9080/reviews/0"
OUTSIDE = "https://api.example.com/"

IDS = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "b3": "0"}
CAME = {**IDS, "sw8": "1-a-b-3-c-d-e-f"}
OTHER = {"b3": "1"}


def seen() -> dict[str, str]:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers(REVIEWS)


class Address:
    """What some client libraries have for a URL."""

    def __str__(self) -> str:
        """Spell it out."""
        return REVIEWS


def test_current_outside_any_request() -> None:
    """Outside any request, current() is empty, and there are no headers."""
    assert TraceContext() == meshtrace.current()
    assert not meshtrace.current()
    assert {} == seen()


def test_current() -> None:
    """Inside, current() is the remote parent of the request, and its request id."""
    span = {"x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7", "x-b3-spanid": "e457b5a2e4d86bd1"}
    with meshtrace.use({**span, "x-b3-sampled": "0", "x-request-id": "id"}):
        assert meshtrace.current() == TraceContext(
            trace_id=span["x-b3-traceid"],
            span_id=span["x-b3-spanid"],
            sampling=Sampling.DENY,
            request_id="id",
        )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(REVIEWS, CAME, id="a host of the mesh may have all"),
        pytest.param(OUTSIDE, IDS, id="a host outside may have the ids"),
        pytest.param(None, IDS, id="without a URL it is a host outside"),
        pytest.param("http://denied/", {}, id="a host that is denied gets nothing"),
        pytest.param("reviews/0", {}, id="a URL without a host gets nothing"),
        pytest.param("http://[", {}, id="a URL that cannot be read gets nothing"),
        pytest.param(Address(), CAME, id="a URL object is as good as its text"),
    ],
)
def test_headers(url: Any, expected: dict[str, str]) -> None:  # noqa: ANN401 - URL objects, too
    """The headers for one call are those that its host may have."""
    meshtrace.configure(deny_hosts="denied")
    with meshtrace.use(CAME):
        assert expected == meshtrace.headers(url)


def test_headers_are_the_callers_own() -> None:
    """The dictionary is new each time: what the caller does to it, nobody else sees."""
    with meshtrace.use(CAME):
        seen().clear()
        assert CAME == seen()


def test_headers_follow_the_settings() -> None:
    """Settings that are made between two calls count for the second."""
    with meshtrace.use(CAME):
        assert CAME == seen()
        meshtrace.configure(deny_hosts="reviews")
        assert {} == seen()


def test_headers_when_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``MESHTRACE_DISABLED`` there are no headers, also where a context was set before."""
    with meshtrace.use(CAME):
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        assert {} == seen()


def test_set_header() -> None:
    """What the application sets goes to the mesh, in place of what came, and nowhere else."""
    meshtrace.configure(forward="end-user")
    with meshtrace.use({**CAME, "end-user": "guest"}):
        meshtrace.set_header("End-User", "jason")
        meshtrace.set_header("x-canary", "yes")
        assert {**CAME, "end-user": "jason", "x-canary": "yes"} == seen()
        assert IDS == meshtrace.headers(OUTSIDE)
    assert {} == seen()


def test_set_header_again() -> None:
    """The last value counts."""
    with meshtrace.use(CAME):
        for user in ("guest", "jason"):
            meshtrace.set_header("end-user", user)
            assert user == seen()["end-user"]


def test_set_header_takes_away() -> None:
    """An empty value takes a field away, whether it came or was set."""
    meshtrace.configure(forward="end-user")
    with meshtrace.use({**CAME, "end-user": "guest"}):
        meshtrace.set_header("x-canary", "yes")
        meshtrace.set_header("end-user", "")
        meshtrace.set_header("x-canary", "")
        assert CAME == seen()


def test_set_header_is_of_one_request() -> None:
    """What is set for one request is not seen in another, also if both brought the same."""
    with meshtrace.use(CAME):
        meshtrace.set_header("end-user", "jason")
        with meshtrace.use(CAME):
            assert CAME == seen()
        assert {**CAME, "end-user": "jason"} == seen()


def test_set_header_in_a_copy_of_the_context() -> None:
    """What is set in a thread or a task of the request is seen by all of the request."""
    with meshtrace.use(CAME):
        copy_context().run(meshtrace.set_header, "end-user", "jason")
        assert {**CAME, "end-user": "jason"} == seen()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("cookie", "never forwarded", id="a cookie"),
        pytest.param("Authorization", "never forwarded", id="authorization"),
        pytest.param("X-Forwarded-For", "never forwarded", id="what Envoy says"),
        pytest.param("content-length", "never forwarded", id="framing"),
        pytest.param("grpc-trace-bin", "never forwarded", id="binary metadata"),
        pytest.param("x-request-id", "trace fields come from Envoy", id="the request id"),
        pytest.param("TraceParent", "trace fields come from Envoy", id="an id in other letters"),
        pytest.param("x-b3-sampled", "trace fields come from Envoy", id="a decision"),
        pytest.param("tracestate", "trace fields come from Envoy", id="what goes with an id"),
        pytest.param("end user", "not a header name", id="a name with a blank"),
        pytest.param("a\r\nb", "not a header name", id="a name with a line break"),
        pytest.param("", "not a header name", id="an empty name"),
    ],
)
@pytest.mark.parametrize("source", [CAME, None], ids=["in a request", "outside"])
def test_set_header_refuses(name: str, reason: str, source: dict[str, str] | None) -> None:
    """A name that may not be set is an error, in a request and outside of it, that says why."""
    with meshtrace.use(source):
        with pytest.raises(ConfigurationError, match=reason):
            meshtrace.set_header(name, "value")
        assert (source or {}) == seen()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("j\xe4son", id="no ASCII"),
        pytest.param("a\r\nset-cookie: b", id="a line break"),
        pytest.param(" jason", id="a blank in front"),
        pytest.param("j" * 5000, id="too long"),
        pytest.param(7, id="a number"),
        pytest.param(b"jason", id="bytes"),
    ],
)
def test_set_header_drops(value: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ANN401 - any
    """A value that cannot be sent is dropped with one warning, and takes the old one along."""
    with meshtrace.use(CAME):
        meshtrace.set_header("end-user", "jason")
        meshtrace.set_header("end-user", value)
        meshtrace.set_header("end-user", value)
        assert CAME == seen()
    [record] = caplog.records
    assert logging.WARNING == record.levelno
    assert "'end-user'" in record.getMessage()
    assert str(value) not in record.getMessage()


def test_set_header_outside_any_request(caplog: pytest.LogCaptureFixture) -> None:
    """Outside any request there is nothing to set it for, which is said once."""
    meshtrace.set_header("end-user", "jason")
    meshtrace.set_header("end-user", "jason")
    with meshtrace.use(CAME):
        assert CAME == seen()
    [record] = caplog.records
    assert logging.WARNING == record.levelno
    assert "outside any request" in record.getMessage()


def test_set_header_when_disabled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Switched off, it is silent: there is no request that it could belong to."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    meshtrace.set_header("end-user", "jason")
    assert [] == caplog.records


def test_detached() -> None:
    """Detached code has no context; around it the context is as it was."""
    with meshtrace.use(CAME):
        with meshtrace.detached():
            assert {} == seen()
        assert CAME == seen()


def test_detached_worker() -> None:
    """A task that is started detached has no context, however long the request goes on."""

    async def scenario() -> tuple[dict[str, str], dict[str, str]]:
        later = asyncio.Event()

        async def work() -> dict[str, str]:
            await later.wait()
            return seen()

        with meshtrace.use(CAME):
            with meshtrace.detached():
                detached = asyncio.create_task(work())
            attached = asyncio.create_task(work())
            later.set()
            return await detached, await attached

    assert ({}, CAME) == asyncio.run(scenario())


def test_entered_inside_one_another() -> None:
    """One inside another, also the same object again: each end brings back what was before."""
    outer, inner = meshtrace.use(CAME), meshtrace.use(OTHER)
    with outer:
        with inner:
            with outer:
                assert CAME == seen()
            assert OTHER == seen()
        assert CAME == seen()
    assert {} == seen()


def test_entered_lets_errors_through() -> None:
    """An error goes through, and the context is undone."""
    with pytest.raises(ZeroDivisionError), meshtrace.use(CAME):
        raise ZeroDivisionError
    assert {} == seen()


def test_entered_by_several_threads() -> None:
    """One object that several threads are in at once ends in each of them."""
    entered = meshtrace.use(CAME)
    inside = threading.Barrier(4)

    def work(number: int) -> list[dict[str, str]]:
        found = []
        with meshtrace.use({"x-request-id": str(number)}):
            with entered:
                inside.wait()
                found.append(seen())
            found.append(seen())
        return [*found, seen()]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert [[CAME, {"x-request-id": str(number)}, {}] for number in range(4)] == found


def test_entered_by_several_tasks() -> None:
    """One object that several tasks are in at once ends in each of them."""
    entered = meshtrace.detached()

    async def work(inside: asyncio.Barrier) -> list[dict[str, str]]:
        with entered:
            await inside.wait()
            found = [seen()]
        return [*found, seen()]

    async def scenario() -> list[list[dict[str, str]]]:
        inside = asyncio.Barrier(3)
        with meshtrace.use(CAME):
            return await asyncio.gather(*(work(inside) for _ in range(3)))

    assert [[{}, CAME]] * 3 == asyncio.run(scenario())


def test_entered_again_and_again() -> None:
    """An object that is kept and entered in each request keeps none of them alive."""
    entered = meshtrace.detached()
    for number in range(3):
        with meshtrace.use({"x-request-id": f"kept-{number}"}), entered:
            pass
    # By their type: Django's lazy objects take part when they are asked for their class.
    snapshots = [thing for thing in gc.get_objects() if issubclass(type(thing), Snapshot)]
    kept = [snapshot.accepted.ids for snapshot in snapshots]
    assert [] == [ids for ids in kept if ids.get("x-request-id", "").startswith("kept-")]


def _wait_inside() -> Iterator[dict[str, str]]:
    with meshtrace.use(CAME):
        yield seen()


def _wait_detached() -> Iterator[dict[str, str]]:
    with meshtrace.detached():
        yield seen()


@pytest.mark.parametrize(
    ("wait", "inside"),
    [
        pytest.param(_wait_inside, CAME, id="that uses a request"),
        pytest.param(_wait_detached, {}, id="that is detached"),
    ],
)
@pytest.mark.parametrize("started_in", [None, {"b3": "d"}], ids=["nothing", "another request"])
@pytest.mark.parametrize("closed_in", [None, OTHER], ids=["nothing", "a third request"])
def test_generator_closed_from_another_context(
    wait: Callable[[], Iterator[dict[str, str]]],
    inside: dict[str, str],
    started_in: dict[str, str] | None,
    closed_in: dict[str, str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A generator that is closed where it was not started says nothing and changes nothing."""
    generator = wait()
    with meshtrace.use(started_in):
        assert inside == copy_context().run(next, generator)
    with meshtrace.use(closed_in):
        generator.close()  # type: ignore[attr-defined]  # it is a generator
        assert (closed_in or {}) == seen()
    assert [] == caplog.records


def test_generator_closed_from_another_context_of_the_same_request() -> None:
    """A generator that was started without any context takes none away where it is closed."""
    with meshtrace.use(CAME):
        request = CURRENT.get()

    def wait_inside() -> Iterator[None]:
        with Entered(request):
            yield

    generator = wait_inside()
    Context().run(next, generator)
    with Entered(request):
        generator.close()  # type: ignore[attr-defined]  # it is a generator
        assert CAME == seen()


def test_leave() -> None:
    """Leaving undoes, once, what was set in this context; in another there is nothing to undo."""
    token = CURRENT.set(None)
    with meshtrace.use(CAME):
        context = copy_context()
    assert [False, True, False] == [context.run(leave, token), leave(token), leave(token)]
    assert CAME == context.run(seen)


def _in_this_thread(step: Callable[[], dict[str, str]]) -> dict[str, str]:
    return step()


def _in_another_thread(step: Callable[[], dict[str, str]]) -> dict[str, str]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(step).result()


def _in_another_context(step: Callable[[], dict[str, str]]) -> dict[str, str]:
    return Context().run(step)


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([_in_this_thread] * 4, id="in one thread"),
        pytest.param([_in_another_thread] * 4, id="in another thread each"),
        pytest.param([_in_another_context, _in_another_thread] * 2, id="here and there"),
    ],
)
def test_steps(places: list[Callable[[Callable[[], dict[str, str]]], dict[str, str]]]) -> None:
    """A step finds what was current when the last one ended, wherever it runs, and it alone."""

    def body() -> Iterator[dict[str, str]]:
        yield seen()
        with meshtrace.use(OTHER):
            yield seen()
            yield seen()
        yield seen()

    steps, lines = _steps_of(CAME), body()
    found = []
    with meshtrace.use({"b3": "d"}):
        for place in places:
            found += [place(lambda: steps.run(next, lines)), seen()]
    assert [CAME, {"b3": "d"}, OTHER, {"b3": "d"}, OTHER, {"b3": "d"}, CAME, {"b3": "d"}] == found


def _steps_of(source: dict[str, str]) -> Stepwise:
    with meshtrace.use(source):
        return Stepwise(CURRENT.get())


def test_step_that_fails() -> None:
    """An error in a step goes through, and the outside has its own context again."""
    steps = _steps_of(CAME)
    with meshtrace.use(OTHER):
        with pytest.raises(StopIteration):
            steps.run(next, iter(()))
        assert OTHER == seen()
        assert CAME == steps.run(seen)


def test_entered_without_a_request() -> None:
    """Nothing can be entered too: then nothing is current."""
    with meshtrace.use(CAME), Entered(None):
        assert CURRENT.get() is None


def _printed(code: str) -> list[object]:
    """Run *code* in an interpreter of its own, and give the lines of JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_forked_child() -> None:
    """A forked child has no context; the parent keeps its own."""
    assert ["child", {}, "parent", CAME] == _printed(
        f"""
import json, os, meshtrace
with meshtrace.use({CAME}):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    print(json.dumps("parent" if child else "child"))
    print(json.dumps(meshtrace.headers("{REVIEWS}")), flush=True)
"""
    )


def test_no_fork() -> None:
    """Where processes cannot be forked, as on Windows, everything else works."""
    assert [CAME] == _printed(
        f"""
import json, os, random
del os.register_at_fork
import meshtrace
with meshtrace.use({CAME}):
    print(json.dumps(meshtrace.headers("{REVIEWS}")))
"""
    )


def test_a_block_that_is_left_in_a_copy_of_its_context_is_left() -> None:
    """Where nothing was ever set before, nothing is there after the block."""
    block = meshtrace.use({"b3": "0"})
    before = Context()
    before.run(block.__enter__)
    after = before.copy()
    after.run(block.__exit__, None, None, None)
    assert {} == after.run(meshtrace.headers, "http://reviews/")
