"""`meshtrace run`: what it becomes, with which environment, and what it says when it cannot."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

import meshtrace
from meshtrace.cli import main
from meshtrace.pythonpath import BOOTSTRAP
from tests.auto.running import ROOT, environment, run


class _Became(Exception):  # noqa: N818 - it is no error
    """What the process became."""


@pytest.fixture
def _becoming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of what the process would become, instead of becoming it."""

    def execvpe(file: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
        raise _Became(file, arguments, environ["PYTHONPATH"])

    monkeypatch.setattr(os, "execvpe", execvpe)


@pytest.mark.usefixtures("_becoming")
class TestBecoming:
    """The command that takes the place of this process."""

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(["uvicorn", "--reload", "shop:app"], id="its options are its own"),
            pytest.param(["--", "uvicorn", "--reload", "shop:app"], id="after two dashes"),
        ],
    )
    def test_the_command(self, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """The command gets its own arguments, and our directory as its PYTHONPATH."""
        monkeypatch.delenv("PYTHONPATH", raising=False)
        with pytest.raises(_Became) as became:
            main(["run", *arguments])
        assert ("uvicorn", ["uvicorn", "--reload", "shop:app"], BOOTSTRAP) == became.value.args

    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            pytest.param("", [BOOTSTRAP], id="an empty one"),
            pytest.param("src", [BOOTSTRAP, "src"], id="one of the user's"),
            pytest.param(f"src{os.pathsep}lib", [BOOTSTRAP, "src", "lib"], id="two"),
            pytest.param(
                os.pathsep.join(["src", BOOTSTRAP]), [BOOTSTRAP, "src"], id="ours, behind it"
            ),
        ],
    )
    def test_the_users_path_is_kept(
        self, before: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The user's PYTHONPATH stays behind our directory, which is there once."""
        monkeypatch.setenv("PYTHONPATH", before)
        with pytest.raises(_Became) as became:
            main(["run", "python"])
        assert os.pathsep.join(expected) == became.value.args[2]

    def test_from_the_command_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without arguments in code, those of the process are taken."""
        monkeypatch.setattr(sys, "argv", ["meshtrace", "run", "python"])
        with pytest.raises(_Became) as became:
            main()
        assert "python" == became.value.args[0]


class TestNotBecoming:
    """What is said instead, in one line."""

    @pytest.mark.parametrize(
        ("arguments", "status", "said"),
        [
            pytest.param(
                [],
                125,
                "meshtrace run: no command: meshtrace run COMMAND [ARGUMENT...]\n",
                id="no command",
            ),
            pytest.param(
                ["--"],
                125,
                "meshtrace run: no command: meshtrace run COMMAND [ARGUMENT...]\n",
                id="no command after two dashes",
            ),
            pytest.param(
                ["--reload", "uvicorn"],
                125,
                "meshtrace run: unknown option --reload; options of COMMAND come after it\n",
                id="an option before the command",
            ),
            pytest.param(
                ["no-such-command"],
                127,
                "meshtrace run: no-such-command: not found\n",
                id="a command that is not there",
            ),
            pytest.param(
                ["./LICENSE/uvicorn"],
                127,
                "meshtrace run: ./LICENSE/uvicorn: not found\n",
                id="a command in what is no directory",
            ),
            pytest.param(
                ["./LICENSE"],
                126,
                "meshtrace run: ./LICENSE: Permission denied\n",
                id="a file that cannot be run",
            ),
            pytest.param(
                ["./docs/conf.py"],
                126,
                "meshtrace run: ./docs/conf.py: Permission denied (python ./docs/conf.py?)\n",
                id="a script without its python",
            ),
        ],
    )
    def test_one_line(
        self,
        arguments: list[str],
        status: int,
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """One line says what is wrong, with the exit status that env(1) has for it."""
        monkeypatch.chdir(ROOT)
        assert status == main(["run", *arguments])
        assert ("", said) == capsys.readouterr()

    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, option: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Help goes to the standard output, and is no failure."""
        assert 0 == main(["run", option])
        said = capsys.readouterr()
        assert ("usage: meshtrace run COMMAND [ARGUMENT...]", "") == (
            said.out.splitlines()[0],
            said.err,
        )


class TestTheCommandItself:
    """`meshtrace` with other words."""

    @pytest.mark.parametrize("option", ["-V", "--version"])
    def test_version(self, option: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The version is printed."""
        assert 0 == main([option])
        assert f"meshtrace {meshtrace.__version__}\n" == capsys.readouterr().out

    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, option: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Help names the commands."""
        assert 0 == main([option])
        assert "meshtrace run COMMAND" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "first"),
        [
            pytest.param([], "usage: meshtrace run COMMAND", id="nothing"),
            pytest.param(["walk"], "meshtrace: 'walk' is not one of run, check", id="another word"),
        ],
    )
    def test_nothing_to_do(
        self, arguments: list[str], first: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without a command that is known, the usage is an error."""
        assert 2 == main(arguments)
        said = capsys.readouterr()
        assert ("", True) == (said.out, said.err.startswith(first))


class TestForReal:
    """The command, run by a shell."""

    @pytest.mark.parametrize("status", [0, 7])
    def test_exit_status(self, status: int) -> None:
        """The exit status is the command's."""
        assert status == run("python", "-c", f"raise SystemExit({status})").returncode

    def test_it_is_the_same_process(self) -> None:
        """The command takes the place of `meshtrace run`: whoever signals the one has the other."""
        code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        with subprocess.Popen(
            [sys.executable, "-m", "meshtrace", "run", "python", "-c", code],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.pid == int(process.stdout.readline())
            process.send_signal(signal.SIGTERM)
        assert -signal.SIGTERM == process.returncode

    def test_as_a_module(self) -> None:
        """`python -m meshtrace` is the command."""
        done = subprocess.run(
            [sys.executable, "-m", "meshtrace", "walk"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            check=False,
        )
        assert (2, b"") == (done.returncode, done.stdout)
        assert main is importlib.import_module("meshtrace.__main__").main

    def test_a_program_that_is_no_python(self, tmp_path: Path) -> None:
        """What is no Python runs as ever."""
        (tmp_path / "file").touch()
        done = run("ls", str(tmp_path))
        assert ("file\n", "", 0) == (done.stdout, done.stderr, done.returncode)

    def test_twice(self) -> None:
        """`meshtrace run meshtrace run` is `meshtrace run`."""
        code = "import os; print(os.environ['PYTHONPATH'])"
        done = run("meshtrace", "run", "python", "-c", code)
        assert f"{BOOTSTRAP}{os.pathsep}{ROOT}\n" == done.stdout, done.stderr
