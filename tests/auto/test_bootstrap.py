"""The `sitecustomize` in front of PYTHONPATH: in each interpreter, beside the user's, silently."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshtrace.pythonpath import BOOTSTRAP
from tests.auto.running import ROOT, SCRIPTS, environment, run

STATE = """
import sys
on = "meshtrace" in sys.modules
import requests
print(on, hasattr(requests.Session.send, "__wrapped__"), sys.modules["sitecustomize"].__file__)
"""
OURS = str(Path(BOOTSTRAP, "sitecustomize.py"))
NEXT = getattr(sys.modules.get("sitecustomize"), "__file__", OURS)
"""The one that this Python has by itself, as Debian's has; else ours stands alone."""
ALONE = f"""
import sys
from importlib.machinery import PathFinder

class OursAlone:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "sitecustomize":
            spec = PathFinder.find_spec(name, {{{BOOTSTRAP!r}}}.intersection(sys.path))
            if spec is None:
                raise ModuleNotFoundError(name=name)
            return spec

sys.meta_path.insert(0, OursAlone)
sys.modules.pop("sitecustomize", None)
sys.path.insert(0, {BOOTSTRAP!r})
import sitecustomize
"""
"""What makes the start of a Python that has no other."""
NO_MESHTRACE = getattr(sys, "_base_executable", sys.executable)
"""The interpreter below the virtual environment, which has nothing installed."""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """Give a directory with a `sitecustomize` of the user's."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.stdout.write('theirs\\n')\n")
    return tmp_path


def _below(
    *command: str, path: tuple[object, ...] = (), cwd: Path = ROOT, **given: str
) -> subprocess.CompletedProcess[str]:
    """Run what `meshtrace run` would become."""
    entries = os.pathsep.join(map(str, (BOOTSTRAP, *path)))
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment({"PYTHONPATH": entries, **given}),
        capture_output=True,
        text=True,
        check=False,
    )


class TestTheNextOne:
    """The next `sitecustomize` on the path runs as it would without ours."""

    def test_the_users(self, users: Path) -> None:
        """The user's runs first, once, and is the module of that name; then meshtrace starts."""
        done = _below("python", "-c", STATE, path=(users,))
        assert (f"theirs\nTrue True {users / 'sitecustomize.py'}\n", "") == (
            done.stdout,
            done.stderr,
        )

    def test_the_users_usercustomize(self, tmp_path: Path) -> None:
        """The user's `usercustomize` runs after it."""
        (tmp_path / "usercustomize.py").write_text("import sys\nsys.stdout.write('theirs\\n')\n")
        code = "import site; print(site.ENABLE_USER_SITE)"
        done = _below(NO_MESHTRACE, "-c", code, path=(tmp_path,))
        assert ("theirs\nTrue\n", "") == (done.stdout, done.stderr)

    @pytest.mark.parametrize(
        "fails",
        [
            pytest.param("raise ValueError('theirs')", id="any error"),
            pytest.param("import no_such_module_of_theirs", id="a module that is missing"),
        ],
    )
    def test_one_that_fails(self, tmp_path: Path, fails: str) -> None:
        """The user's own failure is told as ever, and meshtrace starts."""
        (tmp_path / "sitecustomize.py").write_text(f"{fails}\n")
        code = "import sys; print('meshtrace' in sys.modules, 'sitecustomize' in sys.modules)"
        done = _below("python", "-c", code, path=(tmp_path,))
        without = subprocess.run(
            [sys.executable, "-c", "pass"],
            env=environment({"PYTHONPATH": str(tmp_path)}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("True False\n", 0) == (done.stdout, done.returncode)
        assert "" != without.stderr
        assert without.stderr.splitlines()[0] == done.stderr.splitlines()[0]
        assert without.stderr.splitlines()[-1] == done.stderr.splitlines()[-1]

    def test_none(self) -> None:
        """Where there is none, ours is the module of that name, and nothing is said."""
        done = subprocess.run(
            [sys.executable, "-c", ALONE + STATE],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert (f"True True {OURS}\n", "") == (done.stdout, done.stderr)

    def test_the_pythons_own(self) -> None:
        """One that came with the Python, as Debian's does, runs behind ours."""
        done = run("python", "-c", STATE)
        assert (f"True True {NEXT}\n", "") == (done.stdout, done.stderr)


class TestWhere:
    """In which interpreters meshtrace starts."""

    def test_the_path_is_the_users(self, tmp_path: Path) -> None:
        """The modules that are found are the user's, and our directory is not among them."""
        done = _below("python", "-c", "import sys; print(sys.path)", path=(tmp_path,))
        path = ast.literal_eval(done.stdout)
        assert ["", str(tmp_path)] == path[:2]
        assert BOOTSTRAP not in path

    def test_without_meshtrace(self, users: Path) -> None:
        """An interpreter without meshtrace runs as ever, the user's `sitecustomize` included."""
        code = "import sys; print('meshtrace' in sys.modules)"
        done = _below(NO_MESHTRACE, "-c", code, path=(users,), cwd=users)
        assert ("theirs\nFalse\n", "") == (done.stdout, done.stderr)

    @pytest.mark.parametrize("option", ["-S", "-I", "-E"])
    def test_an_interpreter_that_takes_no_orders(self, option: str) -> None:
        """One that reads no PYTHONPATH, or runs no `sitecustomize`, runs as it would alone."""
        done = run("python", option, "-c", "import sys; print('meshtrace' in sys.modules)")
        assert ("False\n", "", 0) == (done.stdout, done.stderr, done.returncode)

    def test_switched_off(self) -> None:
        """Under `MESHTRACE_DISABLED=1` nothing is patched."""
        done = run("python", "-c", STATE, MESHTRACE_DISABLED="1")
        assert (f"True False {NEXT}\n", "") == (done.stdout, done.stderr)

    def test_old_pythons_can_read_it(self) -> None:
        """The file is written so that an old Python, started as a child, can read it, too."""
        source = Path(OURS).read_text()
        assert ast.parse(source, feature_version=(3, 4)).body

    def test_an_old_python_is_left_alone(self, users: Path) -> None:
        """A Python too old for meshtrace runs the user's `sitecustomize`, and no more."""
        code = (
            "import sys; sys.version_info = (3, 10, 0); sys.modules.pop('sitecustomize', None); "
            f"sys.path[:0] = [{BOOTSTRAP!r}, {str(users)!r}]; "
            "import sitecustomize; print('meshtrace' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("theirs\nFalse\n", "") == (done.stdout, done.stderr)

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            pytest.param(
                "raise RuntimeError('broken')",
                "meshtrace: not started: RuntimeError('broken')\n",
                id="a broken one",
            ),
            pytest.param("", "", id="another project of that name"),
        ],
    )
    def test_a_meshtrace_that_does_not_start(self, tmp_path: Path, broken: str, said: str) -> None:
        """A meshtrace that fails is one line; one that has nothing to start, none."""
        (tmp_path / "meshtrace.py").write_text(f"{broken}\n")
        done = _below("python", "-c", "print('runs')", path=(tmp_path,))
        assert ("runs\n", said) == (done.stdout, done.stderr)


class TestSettings:
    """Settings come from the environment; a wrong one stops nothing."""

    def test_one_warning_each(self) -> None:
        """Each setting that does not parse is one line; the application starts with the rest."""
        done = run(
            *("python", "-c", STATE),
            MESHTRACE_FORWARD="cookie",
            MESHTRACE_DISABLED="maybe",
            MESHTRACE_PATHC="requests",
        )
        assert f"True True {NEXT}\n" == done.stdout
        assert [
            "meshtrace: MESHTRACE_DISABLED: not 1 or 0; meshtrace stays on",
            "meshtrace: MESHTRACE_FORWARD: forward='cookie': never forwarded; ignored",
            "meshtrace: MESHTRACE_PATHC: unknown (do you mean MESHTRACE_PATCH?); ignored",
        ] == sorted(done.stderr.splitlines())

    def test_what_is_patched(self) -> None:
        """`MESHTRACE_PATCH` is respected."""
        done = run("python", "-c", STATE, MESHTRACE_PATCH="-requests")
        assert f"True False {NEXT}\n" == done.stdout

    def test_a_call_without_a_request_is_no_warning(self) -> None:
        """A process that serves nothing, such as a tool's, is not told that a half is missing."""
        code = (
            "import logging; logging.basicConfig(level=logging.INFO, format='%(levelname)s')\n"
            "from tests.auto.apps.calls import call\n"
            "print(call())"
        )
        done = run("python", "-c", code)
        assert ("b'{}'\n", "INFO\n") == (done.stdout, done.stderr)


class TestChildren:
    """Which processes inherit it."""

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_multiprocessing(self, method: str, tmp_path: Path) -> None:
        """A worker process has it, however it is made."""
        script = tmp_path / "workers.py"
        script.write_text(
            "import multiprocessing, sys\n"
            "def state():\n"
            "    import requests\n"
            "    print(hasattr(requests.Session.send, '__wrapped__'))\n"
            "if __name__ == '__main__':\n"
            "    process = multiprocessing.get_context(sys.argv[1]).Process(target=state)\n"
            "    process.start()\n"
            "    process.join()\n"
        )
        done = run("python", str(script), method)
        assert ("True\n", "") == (done.stdout, done.stderr)

    def test_a_python_of_the_same_environment(self) -> None:
        """A child that is a Python with meshtrace has it."""
        code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
        done = run("python", "-c", code, STATE)
        assert (f"True True {NEXT}\n", "") == (done.stdout, done.stderr)

    def test_a_tool(self) -> None:
        """A tool that is written in Python says nothing of it."""
        done = run("python", "-m", "pip", "--version")
        assert ("", 0) == (done.stderr, done.returncode)


class TestOpenTelemetry:
    """`opentelemetry-instrument` does not run the next `sitecustomize`; it calls us at its end."""

    def test_alone(self) -> None:
        """Without `meshtrace run`, meshtrace is not started."""
        code = "import sys; print('meshtrace.imports' in sys.modules, sys.meta_path)"
        done = subprocess.run(
            [str(Path(SCRIPTS, "opentelemetry-instrument")), "python", "-c", code],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "meshtrace.imports._Finder" not in done.stdout
