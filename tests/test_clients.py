"""`wrap`, `patch` and `unpatch`: by name, now or later, and what is refused."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import meshtrace
from meshtrace import ConfigurationError
from meshtrace.options import CLIENTS, PATCHABLE
from meshtrace.outbound import requests as room

ROOT = Path(__file__).parent.parent
ORIGINAL = requests.Session.send


def _fresh(code: str, **environ: str) -> dict[str, Any]:
    """Run *code* in an interpreter of its own, and give the JSON object that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys, meshtrace\n{code}"],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**said, "stderr": done.stderr}


STATE = """
import requests
print(json.dumps({"patched": hasattr(requests.Session.send, "__wrapped__")}))
"""


class TestWrap:
    """`wrap` takes a client of a library that it knows."""

    def test_a_client(self) -> None:
        """A client is given back, relaying, with its options over the settings made elsewhere."""
        settings = meshtrace.Settings(mesh_hosts=".prod", trace_hosts="mesh")
        with requests.Session() as session:
            assert session is meshtrace.wrap(session, settings=settings, trace_hosts="all")
            assert requests.Session is not type(session)
            assert session is meshtrace.wrap(session)

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where meshtrace is switched off, a client is given back as it is."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        with requests.Session() as session:
            assert session is meshtrace.wrap(session, trace_hosts="mesh")
            assert requests.Session is type(session)

    @pytest.mark.parametrize(
        ("client", "kind"),
        [
            pytest.param("x", "str", id="a text"),
            pytest.param(None, "NoneType", id="nothing"),
            pytest.param(requests, "module", id="the module"),
            pytest.param(requests.Session, "type", id="the class, without brackets behind it"),
            pytest.param(requests.Request("GET", "http://a/"), "Request", id="a request"),
            pytest.param(requests.PreparedRequest(), "PreparedRequest", id="a prepared request"),
            pytest.param(requests.Response(), "Response", id="a response"),
            pytest.param(requests.adapters.HTTPAdapter(), "HTTPAdapter", id="an adapter"),
            pytest.param(requests.cookies.RequestsCookieJar(), "RequestsCookieJar", id="cookies"),
        ],
    )
    def test_what_is_no_client(self, client: object, kind: str) -> None:
        """Anything else is a TypeError that says what can be wrapped, and what to do instead."""
        with pytest.raises(TypeError) as raised:
            meshtrace.wrap(client)
        assert (
            f"cannot wrap {kind}; what can be wrapped: a client of {', '.join(CLIENTS)}. "
            "For any other client: meshtrace.headers(url)"
        ) == str(raised.value)

    def test_also_when_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is no client is refused as well where meshtrace is switched off."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        with pytest.raises(TypeError, match="cannot wrap str"):
            meshtrace.wrap("x")

    def test_options_are_judged_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wrong option is refused as well where meshtrace is switched off."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        with requests.Session() as session, pytest.raises(ConfigurationError):
            meshtrace.wrap(session, incoming="all")  # type: ignore[arg-type]  # that is what is tested


class TestPatchByName:
    """What `patch` and `unpatch` take."""

    @pytest.mark.parametrize("verb", [meshtrace.patch, meshtrace.unpatch])
    @pytest.mark.parametrize("names", [("flask",), ("requests", "Requests"), ("",)])
    def test_an_unknown_name(self, verb: Callable[..., None], names: tuple[str, ...]) -> None:
        """A name that is not known is refused with those that are, and nothing is patched."""
        with pytest.raises(ConfigurationError) as raised:
            verb(*names)
        known = ", ".join(PATCHABLE)
        assert f"{verb.__name__}({names[-1]!r}): not one of {known}" == str(raised.value)
        assert ORIGINAL is requests.Session.send

    def test_by_the_setting(self) -> None:
        """Without a name, the setting `patch` says what is taken out; a name beats it."""
        meshtrace.configure(patch="-requests")
        meshtrace.patch()
        without = requests.Session.send
        meshtrace.patch("requests")
        assert (True, False) == (without is ORIGINAL, requests.Session.send is ORIGINAL)

    def test_by_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variable does the same."""
        monkeypatch.setenv("MESHTRACE_PATCH", "-requests")
        meshtrace.patch()
        assert ORIGINAL is requests.Session.send
        monkeypatch.setenv("MESHTRACE_PATCH", "requests")
        meshtrace.patch()
        assert ORIGINAL is not requests.Session.send

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`MESHTRACE_DISABLED=1` beats `patch`, with a name and without."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        meshtrace.patch()
        meshtrace.patch("requests")
        assert ORIGINAL is requests.Session.send

    def test_a_library_that_cannot_be_patched(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A fault while patching is told once, and the application starts without."""

        def fail() -> None:
            raise AttributeError("another version")

        monkeypatch.setattr(room, "patch", fail)
        meshtrace.patch()
        meshtrace.patch()
        assert ["meshtrace: a fault while patching requests; going on without"] == caplog.messages
        assert [logging.WARNING] == [record.levelno for record in caplog.records]


class TestPatchBeforeTheImport:
    """`patch` before the library is loaded, in a process of its own."""

    def test_nothing_is_imported(self) -> None:
        """`patch` imports no library, and nothing of ours that needs one."""
        said = _fresh(
            "meshtrace.patch, meshtrace.unpatch\n"
            "before = set(sys.modules)\n"
            "meshtrace.patch()\n"
            "meshtrace.unpatch()\n"
            "meshtrace.patch('requests')\n"
            "print(json.dumps({'imported': sorted(set(sys.modules) - before)}))"
        )
        assert [] == said["imported"]

    @pytest.mark.parametrize(
        "statement",
        [
            "import requests",
            "from requests import Session, get",
            "import requests.sessions",
            "from requests.adapters import HTTPAdapter",
            "import importlib; importlib.import_module('requests')",
        ],
    )
    def test_patched_when_loaded(self, statement: str) -> None:
        """However the library is imported later, it is patched then."""
        said = _fresh(f"meshtrace.patch()\n{statement}\n{STATE}")
        assert {"patched": True, "stderr": ""} == said

    def test_by_many_threads(self) -> None:
        """Threads that import it at the same time all get the patched one."""
        said = _fresh(
            "import threading\n"
            "meshtrace.patch()\n"
            "def load():\n"
            "    import requests\n"
            "threads = [threading.Thread(target=load) for _ in range(8)]\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()\n" + STATE
        )
        assert {"patched": True, "stderr": ""} == said

    def test_a_session_relays(self) -> None:
        """What is sent by the library loaded later carries the fields."""
        said = _fresh(
            "meshtrace.patch()\n"
            "import requests\n"
            "class Anything(requests.adapters.BaseAdapter):\n"
            "    def send(self, request, **options):\n"
            "        self.sent = dict(request.headers)\n"
            "        response = requests.Response()\n"
            "        response.status_code, response.request = 204, request\n"
            "        response._content = b''\n"
            "        return response\n"
            "    def close(self): pass\n"
            "adapter = Anything()\n"
            "with requests.Session() as session, meshtrace.use({'b3': '0'}):\n"
            "    session.mount('http://', adapter)\n"
            "    session.get('http://reviews/')\n"
            "print(json.dumps({'b3': adapter.sent.get('b3')}))"
        )
        assert "0" == said["b3"]

    @pytest.mark.parametrize(
        ("code", "environ"),
        [
            pytest.param("meshtrace.patch(); meshtrace.unpatch()", {}, id="taken back"),
            pytest.param("meshtrace.patch()", {"MESHTRACE_DISABLED": "1"}, id="switched off"),
            pytest.param("meshtrace.patch()", {"MESHTRACE_PATCH": "-requests"}, id="taken out"),
            pytest.param("meshtrace.patch(); import json", {"MESHTRACE_DISABLED": "on"}, id="off"),
            pytest.param("import requests; meshtrace.patch(); meshtrace.unpatch()", {}, id="back"),
        ],
    )
    def test_not_patched_when_loaded(self, code: str, environ: dict[str, str]) -> None:
        """What was taken back, switched off or taken out is not patched later either."""
        assert {"patched": False, "stderr": ""} == _fresh(f"{code}\n{STATE}", **environ)

    def test_the_import_is_what_it_was(self) -> None:
        """The library's loader, source and data are its own."""
        said = _fresh(
            "meshtrace.patch()\n"
            "import inspect, requests\n"
            "from importlib import resources\n"
            "print(json.dumps({\n"
            "    'loader': type(requests.__spec__.loader).__name__,\n"
            "    'same': requests.__spec__.loader is requests.__loader__,\n"
            "    'source': 'Requests HTTP Library' in inspect.getsource(requests),\n"
            "    'data': resources.files('requests').joinpath('api.py').is_file(),\n"
            "}))"
        )
        assert {
            "loader": "SourceFileLoader",
            "same": True,
            "source": True,
            "data": True,
            "stderr": "",
        } == said

    def test_without_the_library(self) -> None:
        """Where the library is not there at all, `patch` does nothing, and the import says so."""
        said = _fresh(
            "from pathlib import Path\n"
            "sys.path = [path for path in sys.path if not Path(path, 'requests').exists()]\n"
            "meshtrace.patch()\n"
            "try:\n"
            "    import requests\n"
            "except ModuleNotFoundError as error:\n"
            "    print(json.dumps({'error': error.name}))"
        )
        assert {"error": "requests", "stderr": ""} == said
