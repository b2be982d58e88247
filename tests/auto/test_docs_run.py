"""Every command on the page about `meshtrace run` is run."""

import os
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from tests.auto.running import CAME, ROOT, answer_of, serving

PAGE = (ROOT / "docs" / "run.md").read_text()
COMMANDS = [
    line[2:]
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
SERVICES = {
    "shop.py": "from tests.auto.apps.fastapi_app import app",
    "orders.py": "from tests.auto.apps.flask_app import app",
    "app.py": "import sys; from orders import app; app.run(port=int(sys.argv[1]))",
    "manage.py": (
        "import sys; from tests.auto.apps import django_app; "
        "from django.core.management import execute_from_command_line; "
        "execute_from_command_line(sys.argv)"
    ),
    "jobs.py": (
        "from celery import Celery, signals; from pathlib import Path; "
        "app = Celery(broker='memory://'); "
        "ready = signals.worker_ready.connect(lambda **_: Path('ready').touch(), weak=False)"
    ),
}


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """Give the directory of the services that the page names."""
    for name, text in SERVICES.items():
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def _split(line: str) -> tuple[list[str], dict[str, Any], list[str]]:
    """Give what is in front of `meshtrace run`, its variables, and the command."""
    words = shlex.split(line)
    at = words.index("meshtrace")
    assert "run" == words[at + 1]
    settings = dict(word.split("=", 1) for word in words[:at] if "=" in word)
    return [word for word in words[:at] if "=" not in word], settings, words[at + 2 :]


@pytest.mark.servers
@pytest.mark.parametrize("line", [line for line in COMMANDS if "8000" in line])
def test_a_service(line: str, services: Path) -> None:
    """A service that is started so relays what came."""
    under, settings, command = _split(line)
    with serving(
        lambda port: [word.replace("8000", str(port)) for word in command],
        under=under,
        cwd=services,
        PYTHONPATH=os.pathsep.join(map(str, (services, ROOT))),
        **settings,
    ) as port:
        assert CAME == answer_of(port)


@pytest.mark.servers
@pytest.mark.parametrize("line", [line for line in COMMANDS if "8000" not in line])
def test_a_worker(line: str, services: Path) -> None:
    """A worker that is started so works."""
    under, settings, command = _split(line)
    with serving(lambda _: command, under=under, cwd=services, listens=False, **settings):
        deadline = time.monotonic() + 60
        while not (services / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (services / "ready").exists()
