"""``meshtrace check``: what it says of services that misbehave, and of bad input."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meshtrace.checker import listening
from meshtrace.cli.check import main
from tests.checker.checking import (
    ROOT,
    Said,
    check,
    command,
    needs_namespace,
    on_one_python,
)

MISBEHAVING = "misbehaving.py"
HERE = "--isolate=never"
FLASK = "if its port is the trouble, have a free one: add to the command of flask: --port {port}"


def _misbehave(variant: str, *options: str) -> Said:
    return check("--provider", "zipkin", *options, *command(MISBEHAVING, variant))


@on_one_python
@pytest.mark.parametrize(
    ("variant", "said", "output"),
    [
        pytest.param("exits", "ended with exit status 4", "no configuration", id="ends at once"),
        pytest.param(
            "dies", "ended with exit status 3", "out of memory", id="ends with the first request"
        ),
        pytest.param("never-listens", "did not listen on port", "", id="never listens"),
    ],
)
def test_a_command_that_does_not_serve(variant: str, said: str, output: str) -> None:
    """It could not be checked: why, and the last lines of its output."""
    done = _misbehave(variant, HERE, "--timeout=5", "--start-timeout=3")
    assert (2, "") == (done.status, done.text)
    assert said in done.error
    assert output in done.error
    assert "{port}" not in done.error


@on_one_python
def test_a_command_that_is_not_told_its_port(tmp_path: Path) -> None:
    """What to add to it is said, in the words of the server that it starts."""
    flask = tmp_path / "flask"
    flask.write_text("#!/bin/sh\necho Address already in use; exit 1\n")
    flask.chmod(0o755)
    done = check(HERE, "--json", "--", str(flask), "run")
    assert ["  | Address already in use", f"  {FLASK}"] == done.error.splitlines()[1:]
    assert (2, FLASK) == (done.status, done.report["advice"])


@on_one_python
def test_a_command_that_does_not_start() -> None:
    """It could not be checked: one line says that there is no such command."""
    done = check(HERE, "--", "no-such-command", "--port", "8000")
    said = "meshtrace check: the command does not start: no-such-command: No such file or directory"
    assert (2, f"{said}\n") == (done.status, done.error)


@on_one_python
def test_a_command_that_is_killed() -> None:
    """The signal that ended it is named."""
    done = check(HERE, "--port=1", "--", "sh", "-c", "kill -9 $$")
    assert 2 == done.status
    assert "was ended by SIGKILL" in done.error


@on_one_python
@needs_namespace
@pytest.mark.parametrize(
    ("variant", "said"),
    [
        pytest.param("fails", "15 of 15 probes: answered 500", id="answers 500"),
        pytest.param("hangs", "no answer within 1 s", id="never answers"),
        pytest.param("streams", "the answer 200 did not end within 1 s", id="streams for ever"),
    ],
)
def test_a_service_that_does_not_answer_well(variant: str, said: str) -> None:
    """What it calls is judged all the same, and the report says how it answered."""
    done = _misbehave(variant, "--timeout=1")
    assert 0 == done.status
    assert said in done.text


@on_one_python
@needs_namespace
def test_a_service_that_calls_nobody() -> None:
    """It could not be checked; with --leaf, that is as expected."""
    assert 2 == _misbehave("calls-nobody").status
    done = _misbehave("calls-nobody", "--leaf")
    assert 0 == done.status
    assert "KEPT: nothing is called, as expected" in done.text


@on_one_python
def test_a_leaf_that_does_not_answer() -> None:
    """A service that is never heard of is not right because it calls nobody."""
    done = _misbehave("hangs-at-once", HERE, "--leaf", "--timeout=0.2")
    assert 2 == done.status
    assert "COULD NOT CHECK: not every probe was answered" in done.text


@on_one_python
@needs_namespace
@pytest.mark.parametrize(
    ("variant", "said"),
    [
        pytest.param("calls-tls", "not seen: TLS to api.example.com:443; ended", id="TLS"),
        pytest.param("asks-a-database", "not seen: not HTTP to database:5432; ended", id="other"),
    ],
)
def test_what_cannot_be_read_is_listed(variant: str, said: str) -> None:
    """A connection that does not speak HTTP is listed as not seen."""
    done = _misbehave(variant)
    assert 0 == done.status
    assert said in done.text


@on_one_python
@needs_namespace
@pytest.mark.parametrize(
    ("variant", "call"),
    [
        pytest.param("calls-localhost", "http://localhost:18080/reviews/0", id="to localhost"),
        pytest.param("calls-an-address", "http://192.0.2.7:18081/reviews/0", id="to its own port"),
    ],
)
def test_every_address_leads_to_the_recorder(variant: str, call: str) -> None:
    """Names, addresses and the loopback device are caught, on ports nobody was told of."""
    done = check(
        *("--json", "--provider=zipkin", "--port=18081"),
        *("--", sys.executable, str(ROOT / "tests/checker/services" / MISBEHAVING)),
        *("18081", variant),
    )
    assert (0, [call]) == (done.status, [each["url"] for each in done.report["calls"]])


@on_one_python
@needs_namespace
def test_calls_that_come_late_belong_to_their_request() -> None:
    """A call made some time after the answer is judged with the request that it is of."""
    done = _misbehave("calls-late", "--json")
    assert (0, [], 15) == (
        done.status,
        done.report["findings"],
        sum(len(call["probes"]) for call in done.report["calls"]),
    )


@on_one_python
@needs_namespace
@pytest.mark.parametrize(
    ("variant", "diagnosis"),
    [("adds-a-line", "two-writers"), ("makes-request-ids", "request-id-replaced")],
)
def test_what_is_changed_is_found(variant: str, diagnosis: str) -> None:
    """A header in two lines, or one of the service's own making, is a finding."""
    done = _misbehave(variant, "--json")
    assert (1, {("GET http://reviews:9080/reviews/0", diagnosis)}) == (done.status, done.faults)


@on_one_python
@needs_namespace
@pytest.mark.parametrize(
    ("variant", "status"), [("makes-a-span", 1), ("exports-a-span", 0)], ids=["no", "by gRPC"]
)
def test_a_span_of_the_services_own(variant: str, status: int) -> None:
    """Such a parent is a finding, unless there was something that can have been an export."""
    done = _misbehave(variant, "--json")
    codes = {effect["code"] for effect in done.report["findings"] + done.report["notes"]}
    assert (status, status == 1) == (done.status, "phantom" in codes)


@on_one_python
def test_an_exporter_that_cannot_be_seen() -> None:
    """Without isolation, a variable that names a collector counts as an exporter."""
    exporter = "--env=OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317"
    assert 0 == _misbehave("makes-a-span", HERE, exporter).status


@on_one_python
@needs_namespace
def test_all_probes() -> None:
    """With --all, a service that copies whatever comes is found to relay what is malformed."""
    done = check("--all", "--json", *command("copied_by_hand.py", "correct"))
    assert 1 == done.status
    assert {"malformed-relayed"} == {
        finding["diagnosis"]
        for finding in done.report["findings"]
        if not {"sw8", "x-datadog-tags"} & {*finding["headers"]}
    }


@on_one_python
@pytest.mark.parametrize("way", ["--isolate=auto", HERE])
@pytest.mark.parametrize("variant", ["has-children", "ignores-the-end"])
def test_nothing_is_left_running(way: str, variant: str) -> None:
    """What the service has started ends with the check, also in a session of its own."""
    done = check(
        *(way, "--leaf", "--provider=zipkin", f"--env=MARK={way}-{variant}-{os.getpid()}"),
        *command(MISBEHAVING, variant),
    )
    assert 0 == done.status
    assert [] == listening.marked(f"MARK={way}-{variant}-{os.getpid()}")


class _Stars(BaseHTTPRequestHandler):
    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers["x-request-id"])
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"stars")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        pass


@pytest.fixture
def ratings() -> Iterator[tuple[int, list[str | None]]]:
    """Serve stars on the real loopback device; give the port and the request ids seen."""
    seen: list[str | None] = []
    handler = type("Handler", (_Stars,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, seen
        server.shutdown()
        thread.join()


@on_one_python
@pytest.mark.parametrize("way", [pytest.param("auto", marks=needs_namespace), "never"])
def test_forwarding(way: str, ratings: tuple[int, list[str | None]]) -> None:
    """With --forward-to, calls are judged and passed on, and the answers come back."""
    port, seen = ratings
    done = _misbehave("shows-the-answer", f"--isolate={way}", f"--forward-to=127.0.0.1:{port}")
    assert 0 == done.status, done
    assert "answered 500" not in done.text
    assert 15 == len(seen)


@on_one_python
@pytest.mark.parametrize("way", [pytest.param("auto", marks=needs_namespace), "never"])
def test_forwarding_to_nobody(way: str) -> None:
    """Where nobody is, a call that is passed on gets a 502, and is judged."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = _misbehave("shows-the-answer", f"--isolate={way}", f"--forward-to=127.0.0.1:{port}")
    assert 0 == done.status
    assert "15 of 15 probes" in done.text


@on_one_python
@needs_namespace
def test_answers(tmp_path: Path) -> None:
    """With --answer, calls are answered as a file says."""
    stars = tmp_path / "stars.json"
    stars.write_text('{"stars": 5}')
    done = _misbehave("shows-the-answer", "--answer", f"reviews/*={stars}")
    assert 0 == done.status
    assert "answered 500" not in done.text


@on_one_python
def test_the_recorder_in_the_environment() -> None:
    """A service can be told where the recorder is: in --env, and in the command."""
    done = _misbehave(
        "calls-the-environment", HERE, "--json", "--env=REVIEWS_URL=http://{recorder}/reviews/0"
    )
    assert (0, ["/reviews/0"]) == (
        done.status,
        [call["url"][-10:] for call in done.report["calls"]],
    )


@on_one_python
def test_a_service_that_runs_already() -> None:
    """With --listen and --url, a service elsewhere is checked that was told to call here."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        port, recorder = one.getsockname()[1], two.getsockname()[1]
    service = subprocess.Popen(
        [*command(MISBEHAVING, "")[1:3], str(port), "calls-the-environment"],
        env={**os.environ, "REVIEWS_URL": f"http://127.0.0.1:{recorder}/reviews/0"},
    )
    try:
        _wait_for(port)
        done = check(
            *("--provider=zipkin", "--listen", str(recorder)),
            *("--url", f"http://127.0.0.1:{port}/product?id=1"),
        )
    finally:
        service.terminate()
        service.wait()
    assert 0 == done.status, done
    assert "seen is what the service was told to send here" in done.text


def _wait_for(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return


@on_one_python
@pytest.mark.parametrize("way", [pytest.param("auto", marks=needs_namespace), "never"])
def test_an_application(way: str) -> None:
    """An ASGI application is served by the checker itself."""
    done = check(f"--isolate={way}", "--json", "tests.checker.services.application:app")
    call = "GET http://reviews/reviews/0"
    assert (1, {(call, "not-carried")}) == (done.status, done.faults)


@on_one_python
@needs_namespace
def test_hosts_that_are_not_judged() -> None:
    """Calls to a host that is ignored count neither as kept nor as lost."""
    done = check("--ignore-host=details", "--path=/product", *command("node_http.js", "broken"))
    assert 0 == done.status
    assert "17 calls to ignored hosts are not judged" in done.text


@on_one_python
def test_a_port_that_is_in_use() -> None:
    """One line says so, and the command is not started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = check(HERE, "--port", str(port), *command(MISBEHAVING, "fails"))
    said = f"meshtrace check: port {port} is in use already, by something else\n"
    assert (2, said) == (done.status, done.error)


@on_one_python
def test_a_port_to_listen_on_that_is_in_use() -> None:
    """One line says that the checker cannot listen there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = check("--listen", port, "--url", "http://localhost:1/")
    said = f"meshtrace check: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (2, said) == (done.status, done.error)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "say what to check: -- COMMAND", id="nothing to check"),
        pytest.param(["a:b", "--", "c"], "say what to check", id="two things to check"),
        pytest.param(["shop"], "'shop' is no module:application", id="no application"),
        pytest.param(["--provider=jaeger", "a:b"], "unknown provider 'jaeger'", id="provider"),
        pytest.param(["--answer=/no/file", "a:b"], "--answer /no/file: No such file", id="answer"),
        pytest.param(["--answer=999", "a:b"], "--answer: 999 is no HTTP status", id="status"),
        pytest.param(["--body=@/no/file", "a:b"], "--body @/no/file: No such file", id="body"),
        pytest.param(["--header=x", "a:b"], "'x' is not NAME:VALUE", id="header"),
        pytest.param(["--env=x", "a:b"], "'x' is not NAME=VALUE", id="variable"),
        pytest.param(["--port=0", "a:b"], "'0' is no port", id="port"),
        pytest.param(["--timeout=soon", "a:b"], "'soon' is no number of seconds", id="timeout"),
        pytest.param(["--timeout=0", "a:b"], "'0' is no number of seconds", id="no time"),
        pytest.param(["--url=http://a/"], "--listen and --url go together", id="url alone"),
        pytest.param(["--listen=1", "a:b"], "--listen and --url go together", id="listen alone"),
        pytest.param(["--listen=1", "--url=https://a/"], "not http://HOST", id="https"),
        pytest.param(["--listen=1", "--url=http://a:x/"], "not http://HOST", id="port of a URL"),
        pytest.param(["--forward-to=a:x", "a:b"], "'x' is no port", id="port to forward to"),
        pytest.param(["--forward-to=:1", "a:b"], "is not HOST[:PORT]", id="host to forward to"),
        pytest.param(
            ["--isolate=always", "--listen=1", "--url=http://a/"],
            "a service that runs already cannot be isolated",
            id="isolating what runs",
        ),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is status 2, and one line that says what is wrong."""
    assert 2 == main(arguments)
    error = capsys.readouterr().err
    assert said in error
    assert 1 == error.count("\n")


def test_an_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, what could not be checked is JSON, too."""
    assert 2 == main(["--json", "--provider=jaeger", "a:b"])
    assert '"status": 2' in capsys.readouterr().out


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the options, and is no error."""
    assert 0 == main(["--help"])
    assert "exit status: 0 kept, 1 findings, 2 could not check" in capsys.readouterr().out


def test_the_surroundings(capsys: pytest.CaptureFixture[str]) -> None:
    """--env alone shows versions, settings and other tracers."""
    assert 0 == main(["--env"])
    assert "settings" in capsys.readouterr().out


@pytest.fixture
def terminal() -> Iterator[None]:
    """Let a process that is started be one that Ctrl-C reaches, also where a shell has said no."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@on_one_python
@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("way", [pytest.param("auto", marks=needs_namespace), "never"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_check_that_is_ended_ends_the_service(way: str, number: signal.Signals) -> None:
    """On SIGTERM and on Ctrl-C the service ends with the check."""
    mark = f"{way}-{number}-{os.getpid()}"
    checking = subprocess.Popen(
        [
            *(sys.executable, "-m", "meshtrace", "check"),
            *(f"--isolate={way}", f"--env=MARK={mark}", *command(MISBEHAVING, "never-listens")),
        ],
        cwd=ROOT,
        start_new_session=True,
    )
    while not listening.marked(f"MARK={mark}"):
        assert checking.poll() is None
    if number is signal.SIGINT:
        os.killpg(checking.pid, number)
    else:
        checking.send_signal(number)
    assert 130 == checking.wait(20)
    assert [] == listening.marked(f"MARK={mark}")


@on_one_python
def test_progress_on_a_terminal() -> None:
    """On a terminal, one line shows what is going on."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "meshtrace", "check", HERE, "--provider=zipkin"),
            *command(MISBEHAVING, "calls-the-environment"),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "REVIEWS_URL": "http://reviews/"},
        check=False,
        timeout=60,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while some := os.read(ours, 4096):
            shown += some
    os.close(ours)
    assert 0 == done.returncode
    assert b"zipkin, sampled" in shown
