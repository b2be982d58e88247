"""The modules that a checked interpreter loads, where nothing goes as it should."""

import importlib.util
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

HERE = Path(__file__).parents[2] / "meshtrace" / "checker" / "interpreter"


def _load(name: str) -> Any:  # noqa: ANN401 - a module that no package has
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_checker_has_gone() -> None:
    """A question to which nobody answers is an error, and not a wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        control = _load("meshtrace_control").Control(listener.getsockname()[1])
        control.tell({"said": 1})
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            assert b'{"said": 1}\n' == lines.readline()
            connection.shutdown(socket.SHUT_WR)
            with pytest.raises(OSError, match="the checker has gone"):
                control.ask({"asked": 1})
        control._socket.close()  # noqa: SLF001 - as the end of the process does


def test_a_note_that_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request goes out whatever becomes of its note."""
    watch = _load("meshtrace_watch")
    monkeypatch.setattr(watch, "_note", lambda _: 1 / 0)
    send = watch._watched(lambda _self, data: len(data), SimpleNamespace())  # noqa: SLF001 - the one that is put in place
    assert 9 == send(SimpleNamespace(family=socket.AF_INET), b"GET / HTTP"[:9])


def test_a_job_that_runs_before_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that submits it is waited for, but not for ever, and never fails."""
    watch = _load("meshtrace_watch")
    submit = ThreadPoolExecutor.submit
    waited_for = threading.Event()
    waited_for.set()

    def slowly(*args: Any) -> Any:  # noqa: ANN401 - as ThreadPoolExecutor.submit
        future = submit(*args)
        assert waited_for.wait(10)
        return future

    def sleep(seconds: float) -> None:
        waited_for.set()
        time.sleep(seconds)

    def ask() -> list[str]:
        lines: list[str] = watch._submitted_at(sys._getframe())  # noqa: SLF001 - what is tested
        return lines

    monkeypatch.setattr(ThreadPoolExecutor, "submit", slowly)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep))
    with ThreadPoolExecutor(1) as pool:
        assert [] == pool.submit(ask).result()
        waited_for.clear()
        [line, *_] = pool.submit(ask).result()
        assert line.endswith("in test_a_job_that_runs_before_it_is_known")
        monkeypatch.setattr(watch, "_lines", None)
        assert [] == pool.submit(ask).result()


def test_a_directory_whose_name_begins_as_ours() -> None:
    """What stands beside the library is the service's own."""
    watch = _load("meshtrace_watch")
    library = HERE.parents[1]
    assert not watch._is_own(f"{library}/clients.py")  # noqa: SLF001 - a decision of its own
    assert watch._is_own(f"{library}_shop/views.py")  # noqa: SLF001 - as above


def test_meshtrace_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a service without it, its directory is nothing special."""
    monkeypatch.delitem(sys.modules, "meshtrace")
    assert _load("meshtrace_watch")._is_own("shop.py")  # noqa: SLF001 - as above


def test_a_stack_of_libraries_alone() -> None:
    """Where no line is the service's, it is the main thread's."""
    watch = _load("meshtrace_watch")
    assert "main" == watch._root([])  # noqa: SLF001 - a decision of its own
    assert "main" == watch._root([("threading.py", 1, "run", "threading")])  # noqa: SLF001 - as above


def test_uvloop_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uvloop is looked for in vain, the import fails as ever."""
    redirect = _load("meshtrace_redirect")
    kinds = [kind for kind in vars(redirect).values() if hasattr(kind, "find_spec")]
    (kind,) = [kind for kind in kinds if kind.__module__ == redirect.__name__]
    finder = kind(SimpleNamespace())
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert finder.find_spec("json", None) is None
    assert finder.find_spec("uvloop", []) is None


def test_no_other_sitecustomize(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no other stands behind ours, as in most Pythons, nothing is run in its place."""
    monkeypatch.setattr(sys, "path", [str(HERE)])
    monkeypatch.delitem(sys.modules, "sitecustomize", raising=False)
    _load("sitecustomize")
    assert "sitecustomize" not in sys.modules
