"""Any header bytes whatsoever: the request is served, and what is good goes on."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given

from meshtrace import notices
from meshtrace.settings import Options
from tests.formats.strategies import TRACEPARENT
from tests.relay.journeys import Sent, through_asgi, through_wsgi
from tests.relay.strategies import Pairs, anything, options

THROUGH = [pytest.param(through_asgi, id="ASGI"), pytest.param(through_wsgi, id="WSGI")]

GOOD = {"x-request-id": "order-4711", "traceparent": TRACEPARENT, "b3": "0", "sw8": "1"}


@pytest.mark.parametrize("through", THROUGH)
@given(anything, options)
def test_whatever_comes_the_request_is_served(
    through: Callable[..., list[Sent]], pairs: Pairs, given_options: Options
) -> None:
    """The call is made once, with values that a client library can send, and without a fault."""
    notices.reset()
    (sent,) = through(pairs, **given_options)
    assert [] == [
        value for value in sent.values() if not re.fullmatch(r"[!-~](?:[\t -~]*[!-~])?", value)
    ]
    assert sent.keys() <= {name for name, _ in pairs}
    assert "judging the headers of a request" not in notices._said  # noqa: SLF001 - said only once


@pytest.mark.parametrize("through", THROUGH)
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param("", id="empty"),
        pytest.param("caf\u00e9", id="latin-1"),
        pytest.param("\x00", id="a zero byte"),
        pytest.param("a\r\nx-admin: 1", id="a line that breaks through"),
        pytest.param("\xff" * 10_000, id="ten thousand bytes"),
        pytest.param("-" * 10_000, id="ten thousand dashes"),
    ],
)
def test_one_bad_format_costs_no_other(
    through: Callable[..., list[Sent]], name: str, bad: str
) -> None:
    """What is good goes out as it came beside what is bad."""
    good = {other: value for other, value in GOOD.items() if other != name}
    assert [good] == through([*good.items(), (name, bad)])
    assert [good] == through([(name, bad), *good.items()])
