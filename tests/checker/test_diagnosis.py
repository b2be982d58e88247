"""The likely cause of each fault, and the fix."""

from typing import Any

import pytest

from meshtrace.checker.calls import Note
from meshtrace.checker.diagnosis import diagnose
from meshtrace.checker.evidence import Diagnosis, Evidence, client_of
from meshtrace.checker.judged import Judged
from tests.checker.judging import FACTS, Fields, judged, probe, without

ZIPKIN = "zipkin, sampled"


def _note(**given: Any) -> Note:  # noqa: ANN401 - what a note can have
    facts = {**FACTS, **given.pop("facts", {})}
    return Note(**{"frames": ("shop.py:7 in show",), "client": "httpx", "facts": facts, **given})


def _of(  # noqa: PLR0913 - all that a diagnosis can depend on
    code: str,
    *names: str,
    headers: Fields = (),
    name: str = ZIPKIN,
    note: Note | None = None,
    rest_is_kept: bool = False,
    others_are_kept: bool = False,
    runs_already: bool = False,
    **known: Any,  # noqa: ANN401 - what evidence can have
) -> Diagnosis:
    [example] = judged(probe(name), headers, note=note).judged
    evidence = Evidence(code, names, example, rest_is_kept, others_are_kept, runs_already, **known)
    return diagnose(evidence)


@pytest.mark.parametrize(
    ("note", "name", "cause"),
    [
        pytest.param(_note(context=True), "client-not-wrapped", "httpx", id="the context is there"),
        pytest.param(
            _note(context=True, client=""),
            "client-not-wrapped",
            "this client",
            id="the context is there, the client is unknown",
        ),
        pytest.param(
            _note(context=False, facts={"disabled": True}),
            "disabled",
            "MESHTRACE_DISABLED",
            id="turned off",
        ),
        pytest.param(
            _note(context=False, root="executor", thread="pool_0"),
            "executor",
            "pool_0",
            id="an executor",
        ),
        pytest.param(
            _note(context=False, root="thread", thread="Thread-1"),
            "thread",
            "Thread-1",
            id="a thread",
        ),
        pytest.param(
            _note(context=False, facts={"middleware": False}),
            "no-middleware",
            "no middleware of meshtrace ever ran",
            id="no middleware",
        ),
        pytest.param(
            _note(context=False), "no-context", "queue's worker", id="no context, no known thread"
        ),
        pytest.param(
            _note(facts={"used": False}), "not-carried", "nothing in the service", id="no meshtrace"
        ),
        pytest.param(
            _note(root="executor", facts={"used": False}),
            "not-carried",
            "nothing in the service",
            id="no meshtrace, and an executor",
        ),
    ],
)
def test_what_a_stack_tells(note: Note, name: str, cause: str) -> None:
    """When everything is lost, what was seen inside the interpreter tells why."""
    diagnosis = _of("lost-all", note=note)
    assert name == diagnosis.name
    assert cause in diagnosis.cause
    assert diagnosis.fix


def test_an_executor_without_meshtrace() -> None:
    """When other calls are right, an executor loses the context of whoever carries it."""
    note = _note(root="executor", facts={"used": False})
    diagnosis = _of("lost-all", note=note, others_are_kept=True)
    assert "executor" == diagnosis.name
    assert "copy_context" in diagnosis.fix


@pytest.mark.parametrize(
    ("agent", "fix"),
    [
        ("python-requests/2.32", "meshtrace run COMMAND"),
        ("node", "x-b3-traceid"),
        ("", "x-b3-traceid"),
    ],
)
def test_nothing_is_carried(agent: str, fix: str) -> None:
    """From outside, the client tells the language: the fix is for that one."""
    diagnosis = _of("lost-all", headers=[("user-agent", agent)])
    assert "not-carried" == diagnosis.name
    assert fix in diagnosis.fix


@pytest.mark.parametrize(
    ("command", "fix"),
    [
        ("flask run", "meshtrace run flask run, or the middleware for its framework"),
        ("meshtrace run flask run", "the middleware for its framework"),
    ],
)
@pytest.mark.parametrize("used", [True, False])
def test_the_safe_fix_comes_first(command: str, fix: str, used: bool) -> None:  # noqa: FBT001 - a fact
    """Their own command under `meshtrace run` fits each framework, and is first if it is new."""
    note = _note(context=False, facts={"used": used, "middleware": False})
    assert _of("lost-all", note=note, command=command).fix.startswith(fix)


def test_nothing_came() -> None:
    """For a service that runs already, it may be that no headers reach it: all causes are named."""
    cause = _of("lost-all", runs_already=True).cause
    for word in ("provider", "sidecar", "waypoint", "http-", "1 %"):
        assert word in cause


@pytest.mark.parametrize(
    ("code", "names", "headers", "options", "name"),
    [
        pytest.param(
            *("lost-all", (), [], {"others_are_kept": True}, "this-call-only"), id="one call of two"
        ),
        pytest.param(
            *("lost", ("traceparent",), [], {"rest_is_kept": True}, "b3-only"), id="no W3C"
        ),
        pytest.param(
            "lost",
            ("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled"),
            [],
            {},
            "w3c-only",
            id="no B3",
        ),
        pytest.param("lost", ("x-b3-spanid",), [], {}, "forgotten", id="one of several"),
        pytest.param("request-id-lost", ("x-request-id",), [], {}, "forgotten", id="request id"),
        pytest.param(
            "sampling-changed", ("x-b3-sampled",), [], {}, "forgotten", id="the decision is lost"
        ),
        pytest.param(
            "sampling-changed",
            ("x-b3-sampled",),
            [("x-b3-sampled", "0")],
            {},
            "decision-changed",
            id="the decision is changed",
        ),
        pytest.param("decided", ("x-b3-sampled",), [], {}, "decision-made-up", id="made up"),
        pytest.param("trace-changed", ("traceparent",), [], {}, "own-trace", id="another trace"),
        pytest.param("phantom", ("traceparent",), [], {}, "no-exporter", id="no exporter"),
        pytest.param("request-id-changed", (), [], {}, "request-id-replaced", id="own request id"),
        pytest.param("mixed", (), [], {}, "leak", id="mixed"),
        pytest.param("doubled", ("b3",), [], {}, "two-writers", id="two lines"),
        pytest.param("folded", ("b3",), [], {}, "two-writers", id="two values"),
        pytest.param("poison", (), [], {}, "malformed-relayed", id="malformed"),
    ],
)
def test_each_fault_has_a_cause(
    code: str, names: tuple[str, ...], headers: Fields, options: dict[str, Any], name: str
) -> None:
    """Every fault has a likely cause, and something that can be done."""
    diagnosis = _of(code, *names, headers=headers, **options)
    assert name == diagnosis.name
    assert diagnosis.cause
    assert diagnosis.fix


@pytest.mark.parametrize(
    ("note", "agent", "name", "fix"),
    [
        pytest.param(
            _note(context=True), "", "kept-context", "detached", id="a worker has a context"
        ),
        pytest.param(
            _note(context=True, inside=True), "", "leak", "ContextVar", id="inside the middleware"
        ),
        pytest.param(
            _note(context=True, thread="AnyIO worker thread"),
            *("", "leak", "ContextVar"),
            id="a plain function of Starlette",
        ),
        pytest.param(_note(context=False), "", "leak", "ContextVar", id="no context"),
        pytest.param(None, "python-httpx/0.28", "leak", "ContextVar", id="Python from outside"),
        pytest.param(None, "node", "leak", "AsyncLocalStorage", id="Node"),
    ],
)
def test_mixed_by_whom(note: Note | None, agent: str, name: str, fix: str) -> None:
    """A worker with a request's context, and what requests share, are told apart; so is Node."""
    diagnosis = _of("mixed", headers=[("user-agent", agent)], note=note)
    assert name == diagnosis.name
    assert fix in diagnosis.fix


@pytest.mark.parametrize(
    ("note", "fix"),
    [
        pytest.param(_note(context=True), "take the header out", id="meshtrace has the right one"),
        pytest.param(_note(context=False), "relay x-request-id", id="meshtrace has none"),
        pytest.param(None, "relay x-request-id", id="nothing is known"),
    ],
)
def test_a_request_id_of_its_own(note: Note | None, fix: str) -> None:
    """Where meshtrace has the request's id, the service needs only to stop sending its own."""
    assert fix in _of("request-id-changed", note=note).fix


def test_one_header_only() -> None:
    """When the call keeps other headers for other probes, its list is too short, and not empty."""
    diagnosis = _of("lost-all", "x-request-id", "b3", kept=("traceparent",))
    assert "some-only" == diagnosis.name
    assert "the service carries traceparent only" in diagnosis.cause
    assert "carry x-request-id, b3, too" == diagnosis.fix


@pytest.mark.parametrize("rest_is_kept", [True, False])
def test_all_is_kept_at_times(rest_is_kept: bool) -> None:  # noqa: FBT001 - a fact
    """When the same headers are kept and lost, or all of some probe's, no list is too short."""
    kept = ("x-request-id", "b3") if rest_is_kept else ("b3",)
    diagnosis = _of("lost-all", "b3", kept=kept, rest_is_kept=rest_is_kept)
    assert "some-only" != diagnosis.name


def test_a_note_needs_no_fix() -> None:
    """What is no fault has no cause."""
    assert Diagnosis("begun", "") == _of("begun")


def test_other_tracers_are_named() -> None:
    """A tracer in the process, or one whose header is on the call, is named as the cause."""
    note = _note(facts={"tracers": ["ddtrace"]})
    headers = [*without(probe(ZIPKIN).fields), ("sentry-trace", "1")]
    assert "ddtrace, Sentry makes spans" in _of("phantom", headers=headers, note=note).cause
    assert "a tracer in the application" in _of("phantom").cause


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("python-httpx/0.28.1", "httpx"),
        ("Python-urllib/3.11", "urllib.request"),
        ("python-urllib3/2.0", "urllib3"),
        ("axios/1.7", "axios"),
        ("Go-http-client/1.1", "Go's net/http"),
        ("node", "Node's fetch"),
        ("Mozilla/5.0", ""),
    ],
)
def test_clients_by_their_user_agent(agent: str, client: str) -> None:
    """A client is named by what it calls itself."""
    assert client == client_of(agent)


def test_evidence_without_a_note() -> None:
    """Without a note, the client is known by its user agent."""
    example: Judged = judged(probe(ZIPKIN), [("user-agent", "axios/1.7")]).judged[0]
    evidence = Evidence("lost-all", (), example, False, False, False)  # noqa: FBT003 - a tuple
    assert "axios" == evidence.client
