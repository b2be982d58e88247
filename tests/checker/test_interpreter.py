"""What runs inside a checked Python: it watches, it redirects, and it stays out of the way."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from meshtrace.checker.answers import Answers
from meshtrace.checker.calls import Call
from meshtrace.checker.http1 import Wire
from meshtrace.checker.isolation.environment import MARK, environment
from meshtrace.checker.notes import Notes
from meshtrace.checker.recorder import Recorder


async def _dial(_host: str, port: int) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", port))


class _Ran:
    """A script that ran in a watched interpreter, with what it called."""

    def __init__(self, output: str, recorder: Recorder, notes: Notes) -> None:
        self.output = output
        self.recorder = recorder
        self.notes = notes

    @property
    def call(self) -> Call:
        """Its one call."""
        [call] = self.recorder.calls
        return call


def _run(
    script: str,
    *,
    redirect: bool = True,
    before: Callable[[Recorder], Awaitable[dict[str, str]]] | None = None,
) -> _Ran:
    async def run() -> _Ran:
        async with Recorder(Answers([]), onward=_dial) as recorder:
            recorder.port = await recorder.listen()

            async def place(host: str, port: int) -> int:
                return await recorder.listen(going_to=(host, port))

            notes = Notes(place)
            own = await before(recorder) if before else {}
            variables = environment(
                own, control=await notes.listen(), recorder=recorder.port, redirect=redirect
            )
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                variables.pop(name, None)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", textwrap.dedent(script)),
                env=variables,
                cwd=Path(__file__).parents[2],
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output = (await process.communicate())[0].decode()
            await recorder.quiet(0.02)
            notes.attach(recorder.calls)
            notes.close()
            return _Ran(output, recorder, notes)

    return asyncio.run(run())


URLLIB = """
import urllib.request
def fetch():
    return urllib.request.urlopen("http://reviews:9080/reviews/0", timeout=5).read()
"""


def test_a_call_is_redirected_and_noted() -> None:
    """A call to a host that is nowhere comes to the recorder, with the line that made it."""
    ran = _run(f"{URLLIB}\nprint(fetch())")
    assert "b'{}'\n" == ran.output
    assert ("reviews", 9080, "/reviews/0") == (ran.call.host, ran.call.port, ran.call.path)
    note = ran.call.note
    assert note is not None
    assert "urllib.request" == note.client
    assert ("MainThread", "main", False, None) == (
        note.thread,
        note.root,
        note.inside,
        note.context,
    )
    assert {"disabled": False, "middleware": False, "used": False, "tracers": []} == note.facts
    assert [True] == [hello["redirect"] for hello in ran.notes.hellos]


def test_a_script_has_a_line(tmp_path: Path) -> None:
    """The service's own frames are named by file, line and function, the innermost first."""
    script = tmp_path / "shop.py"
    script.write_text(f"{URLLIB}\ndef show():\n    fetch()\nshow()\n")
    note = _run(f"import runpy; runpy.run_path({str(script)!r})").call.note
    assert note is not None
    assert (f"{script}:4 in fetch", f"{script}:7 in show") == note.frames[:2]


@pytest.mark.parametrize(
    ("script", "root"),
    [
        pytest.param(
            "from concurrent.futures import ThreadPoolExecutor as Pool\n"
            "Pool(1).submit({function}).result()",
            "executor",
            id="an executor",
        ),
        pytest.param(
            "import threading\nthread = threading.Thread(target={function})\n"
            "thread.start(); thread.join()",
            "thread",
            id="a thread",
        ),
    ],
)
def test_the_kind_of_thread(script: str, root: str, tmp_path: Path) -> None:
    """A function of the service's that a thread runs by itself is told from a server's threads."""
    (tmp_path / "shop.py").write_text(URLLIB)
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import shop\n"
    note = _run(path + script.format(function="shop.fetch")).call.note
    assert note is not None
    assert root == note.root


def test_a_librarys_function_in_a_pool(tmp_path: Path) -> None:
    """Where a pool's thread runs no line of the service's, it is the line that submits."""
    (tmp_path / "shop.py").write_text(
        "import urllib.request\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def show(url):\n"
        "    with ThreadPoolExecutor(1) as pool:\n"
        "        return list(pool.map(urllib.request.urlopen, [url]))\n"
    )
    ran = _run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import shop\n"
        "for number in range(3): shop.show(f'http://reviews:9080/{number}')"
    )
    notes = [call.note for call in ran.recorder.calls]
    assert ["executor"] * 3 == [note.root for note in notes if note is not None]
    line = f"{tmp_path}/shop.py:5 in show"
    assert [(), (line,), (line,)] == [note.frames for note in notes if note is not None]


def test_a_thread_of_a_server() -> None:
    """A request that a server's thread handles is no thread of the service's."""
    note = _run(
        """
        import socketserver, threading, urllib.request
        from http.server import BaseHTTPRequestHandler

        class Handler(BaseHTTPRequestHandler):
            def handle(self):
                urllib.request.urlopen("http://reviews/").read()

        class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
            def __init__(self):
                super().__init__(("", 0), lambda *_: Handler.handle(None))

        server = Server()
        server.process_request_thread = server.finish_request
        thread = threading.Thread(target=server.finish_request, args=(None, None))
        thread.start(); thread.join()
        """
    ).call.note
    assert note is not None
    assert "main" == note.root


def test_meshtrace_is_seen() -> None:
    """Whether there was a context, and what is ready, is noted."""
    note = _run(
        """
        import requests
        import meshtrace
        meshtrace.patch("requests")
        with meshtrace.use({"x-request-id": "1"}):
            requests.get("http://reviews:9080/", timeout=5)
        """
    ).call.note
    assert note is not None
    assert ("requests", True) == (note.client, note.context)
    assert {"disabled": False, "middleware": False, "used": True, "tracers": []} == note.facts


def test_what_is_no_request_is_not_noted() -> None:
    """Bytes that begin no request, and other kinds of sockets, go as they did."""
    ran = _run(
        """
        import socket
        one, other = socket.socketpair()
        one.sendall(b"GET / HTTP/1.1")
        print(other.recv(100))
        with socket.create_connection(("reviews", 80)) as connection:
            connection.sendmsg([b"GET / HTTP/1.1\\r\\n", b"host: reviews\\r\\n\\r\\n"])
            connection.recv(100)
            connection.send(memoryview(b"GET /2 HTTP/1.1\\r\\nhost: reviews\\r\\n\\r\\n"))
            connection.recv(100)
            connection.sendall(b"")
        """
    )
    assert "b'GET / HTTP/1.1'\n" == ran.output
    assert [0, 1] == [call.line[1] for call in ran.recorder.calls]
    assert None not in [call.note for call in ran.recorder.calls]


def test_without_redirection_only_watched() -> None:
    """In a namespace calls come by themselves: the interpreter is watched, and no more."""

    async def tell(recorder: Recorder) -> dict[str, str]:
        return {"REVIEWS": f"http://127.0.0.1:{recorder.port}/a"}

    ran = _run(
        """
        import os, urllib.request
        urllib.request.urlopen(os.environ["REVIEWS"]).read()
        """,
        redirect=False,
        before=tell,
    )
    assert ran.call.note is not None
    assert [False] == [hello["redirect"] for hello in ran.notes.hellos]


def test_what_is_told_of_the_recorder_stays() -> None:
    """A connection to the checker itself is made as it is."""

    async def tell(recorder: Recorder) -> dict[str, str]:
        return {"REVIEWS": f"http://127.0.0.1:{recorder.port}/a"}

    ran = _run(
        "import os, urllib.request; urllib.request.urlopen(os.environ['REVIEWS']).read()",
        before=tell,
    )
    assert "/a" == ran.call.path


def test_what_is_no_http_is_passed_on() -> None:
    """A connection to a database, by name or by connect_ex, comes where it was going."""

    async def database(recorder: Recorder) -> dict[str, str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read(100)).upper())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        recorder._servers.append(server)  # noqa: SLF001 - it ends with the others
        return {"DATABASE": str(server.sockets[0].getsockname()[1])}

    ran = _run(
        """
        import os, socket
        port = int(os.environ["DATABASE"])
        address = socket.gethostbyname("database")
        assert socket.gethostbyname("localhost") == "127.0.0.1"
        connection = socket.socket()
        assert connection.connect_ex((address, port)) == 0
        connection.sendall(b"\\0ping")
        print(connection.recv(100))
        connection.close()
        with socket.socket(socket.AF_INET6) as connection:
            connection.connect(("::1", port))
            connection.sendall(b"\\0six")
            print(connection.recv(100))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.connect(("127.0.0.1", 9))
        """,
        before=database,
    )
    assert "b'\\x00PING'\nb'\\x00SIX'\n" == ran.output
    assert ["database", "::1"] == [unseen.host for unseen in ran.recorder.unseen]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("client", ["httpx", "aiohttp"])
def test_asynchronous_clients(loop: str, client: str) -> None:
    """They are redirected under asyncio's loop and under uvloop's."""
    pytest.importorskip(loop)
    use = {
        "httpx": """
            async with httpx.AsyncClient(trust_env=False) as client:
                await client.get("http://reviews:9080/a")
            """,
        "aiohttp": """
            async with aiohttp.ClientSession() as session, session.get("http://reviews:9080/a"):
                pass
            """,
    }[client]
    script = f"import {loop}, {client}\nasync def main():\n"
    script += textwrap.indent(textwrap.dedent(use), "    ")
    ran = _run(f"{script}\n{loop}.run(main())")
    assert "" == ran.output
    assert ("reviews", 9080, "/a") == (ran.call.host, ran.call.port, ran.call.path)


def test_uvloop_by_other_ways() -> None:
    """Under uvloop, the recorder is connected to as it is, and TLS keeps the name it asks for."""
    pytest.importorskip("uvloop")

    async def tell(recorder: Recorder) -> dict[str, str]:
        return {"PORT": str(recorder.port)}

    ran = _run(
        """
        import asyncio, os, socket, ssl, uvloop
        async def main():
            loop = asyncio.get_running_loop()
            port = int(os.environ["PORT"])
            for host in ("127.0.0.1",):
                transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
                transport.close()
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", port))
                transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock.dup())
                transport.close()
            context = ssl._create_unverified_context()
            for named in ({}, {"server_hostname": "api"}):
                try:
                    await loop.create_connection(
                        asyncio.Protocol, "api.example.com", 1, ssl=context, **named
                    )
                except OSError as error:
                    print("ended")
        uvloop.run(main())
        """,
        before=tell,
    )
    assert "ended\nended\n" == ran.output
    assert [("tls", "api.example.com")] == [
        (unseen.kind, unseen.host) for unseen in ran.recorder.unseen
    ]


def test_a_forked_child_speaks_for_itself() -> None:
    """A child does not write on its parent's connection."""
    ran = _run(
        f"""
{URLLIB}
import os
fetch()
child = os.fork()
if child:
    os.waitpid(child, 0)
fetch()
if not child:
    os._exit(0)
"""
    )
    assert [True] * 3 == [call.note is not None for call in ran.recorder.calls]


def _alone(script: str, **variables: str) -> str:
    """Run a script with the directory on the path, and nobody who listens."""
    made = environment({}, control=1, recorder=2, redirect=False, before=os.environ)
    made.pop(MARK)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**made, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def test_no_check() -> None:
    """Without a check, the directory on the path does nothing."""
    assert "False\n" == _alone("import sys; print('meshtrace_watch' in sys.modules)")


def test_nobody_listens() -> None:
    """When the checker is not there, the service starts all the same, and a line says so."""
    settings = json.dumps({"port": 1, "redirect": False, "leave": []})
    output = _alone("print('runs')", **{MARK: settings})
    assert output.startswith("runs\nmeshtrace check: this interpreter is not watched")


def test_the_sitecustomize_that_was_there(tmp_path: Path) -> None:
    """It runs as it would have."""
    (tmp_path / "sitecustomize.py").write_text("print('mine')")
    path = environment({"PYTHONPATH": str(tmp_path)}, control=1, recorder=2, redirect=False)
    assert "mine\n" == _alone("", PYTHONPATH=path["PYTHONPATH"])


def test_a_checker_that_has_gone() -> None:
    """A connection that cannot be redirected is an error of the connection."""
    script = """
import json, os, socket, sys
sys.path.insert(0, os.environ["HERE"])
import meshtrace_control
server = socket.create_server(("127.0.0.1", 0))
control = meshtrace_control.Control(server.getsockname()[1])
control.tell({})
server.accept()[0].close()
try:
    control.ask({})
except OSError as error:
    print(error)
"""
    here = str(Path(__file__).parents[2] / "meshtrace" / "checker" / "interpreter")
    assert "gone" in _alone(script, HERE=here) or "reset" in _alone(script, HERE=here)
