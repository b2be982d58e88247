"""The environment that a service is started with."""

import json

from meshtrace.checker.isolation.environment import MARK, environment


def test_what_the_user_sets_stands() -> None:
    """Variables of the user's stand, and PYTHONPATH keeps what it had."""
    made = environment(
        {"A": "1", "PYTHONPATH": "/mine", "OTEL_BSP_SCHEDULE_DELAY": "7"},
        control=1,
        recorder=2,
        redirect=False,
        before={"A": "0", "B": "2"},
    )
    assert ("1", "2", "7") == (made["A"], made["B"], made["OTEL_BSP_SCHEDULE_DELAY"])
    assert made["PYTHONPATH"].endswith("interpreter:/mine")
    assert "HTTP_PROXY" not in made
    assert {"port": 1, "redirect": False, "leave": [1, 2]} == json.loads(made[MARK])


def test_proxies() -> None:
    """Where calls have to be led here, clients are told by the proxy variables."""
    made = environment(
        {}, control=1, recorder=2, redirect=True, before={"NO_PROXY": "*", "no_proxy": "*"}
    )
    proxy = "http://127.0.0.1:2"
    assert [proxy] * 3 == [made[name] for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY")]
    assert ["", ""] == [made["NO_PROXY"], made["no_proxy"]]
    assert "100" == made["OTEL_BSP_SCHEDULE_DELAY"]
