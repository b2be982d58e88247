"""A real Chromium without a window, driven over its DevTools protocol: what a person would do."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:  # one line for each file that needs this
    pytest.skip("no Chromium here (on Debian: apt install chromium)", allow_module_level=True)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]
SECONDS = 15.0

KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "ArrowDown": (40, ""), "ArrowUp": (38, "")}


class Browser:
    """One page of a Chromium, and what went wrong in it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Go to *url* in a window of that size, leaving what was there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        # Else an address that differs in its hash alone would not load anything.
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script gives
        """Run *script* in the page and return its value."""
        asked = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", userGesture=True, **asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = SECONDS) -> Any:  # noqa: ANN401 - see run
        """Wait until *script* gives something that is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > deadline:
                pytest.fail(f"never true: {script}\n{self.text('main')}")
            time.sleep(0.05)
        return value

    def wait_for_element(self, selector: str) -> None:
        """Wait until there is an element at *selector*."""
        self.wait_for(f"Boolean(document.querySelector({json.dumps(selector)}))")

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until the element at *selector* shows *text*."""
        self.wait_for(
            f"document.querySelector({json.dumps(selector)})?.innerText"
            f".includes({json.dumps(text)})"
        )

    def text(self, selector: str) -> str:
        """Return what the element at *selector* shows."""
        shown: str = self.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return shown

    def texts(self, selector: str) -> list[str]:
        """Return what every element at *selector* shows."""
        script = f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.innerText)"
        shown: list[str] = self.run(script)
        return shown

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the element at *selector*."""
        at = self.wait_for(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "if (!e) return null; e.scrollIntoView({block: 'center'});"
            "const r = e.getBoundingClientRect();"
            "return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def press(self, key: str) -> None:
        """Press a key."""
        code, text = KEYS[key]
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self._call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def allow_clipboard(self, origin: str) -> None:
        """Let the pages of *origin* read the clipboard, so that a test can."""
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self._call("Browser.grantPermissions", origin=origin, permissions=permissions)

    def offline(self, *, yes: bool) -> None:
        """Cut the page off from everybody, or no longer."""
        no_limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._call("Network.emulateNetworkConditions", offline=yes, **no_limits)

    def picture(self, file: Path) -> None:
        """Take a picture of the whole page."""
        taken = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def _call(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - by the method
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(SECONDS))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message.get("method", ""), message.get("params", {}))

    def _note(self, event: str, about: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requested.append(about["request"]["url"])
        wrong = event == "Runtime.exceptionThrown"
        wrong |= event == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning"}
        wrong |= event == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}
        if wrong:
            self.errors.append(json.dumps(about))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium with an empty profile, and give its page."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    process = subprocess.Popen(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        with connect(_page_of(profile), proxy=None, max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait()
        with suppress(ProcessLookupError):  # its children may still write into the profile
            os.killpg(process.pid, signal.SIGKILL)
        shutil.rmtree(profile, ignore_errors=True)


def _page_of(profile: Path) -> str:
    told = profile / "DevToolsActivePort"  # its port and its path
    deadline = time.monotonic() + 2 * SECONDS
    while not (told.exists() and len(told.read_text().split()) == 2):
        if time.monotonic() > deadline:
            pytest.fail("Chromium does not start")
        time.sleep(0.05)
    port, path = told.read_text().split()
    with connect(f"ws://127.0.0.1:{port}{path}", proxy=None) as socket:
        socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        answer = json.loads(socket.recv(SECONDS))
    (page,) = [one for one in answer["result"]["targetInfos"] if one["type"] == "page"]
    return f"ws://127.0.0.1:{port}/devtools/page/{page['targetId']}"
