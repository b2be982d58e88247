"""gevent: a greenlet runs for the request inside which it is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar, copy_context

import gevent
import gevent.pool
import pytest

import meshtrace
from meshtrace.ambient import CURRENT
from tests.concurrency.ways import CAME, Seen, look

OTHER = {"b3": "1"}


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    meshtrace.patch("gevent")
    yield
    gevent.get_hub().destroy(destroy_loop=True)


class _Looking(gevent.Greenlet):  # type: ignore[type-arg]  # it has them for mypy only
    """A greenlet of a class of its own."""

    def _run(self) -> Seen:
        return look()


def test_each_has_its_own() -> None:
    """Each greenlet runs for the request that started it, though all have one thread."""

    def look_twice() -> list[Seen]:
        before = look()
        gevent.sleep(0)
        return [before, look()]

    greenlets = []
    for came in (CAME, OTHER):
        with meshtrace.use(came):
            greenlets.append(gevent.spawn(look_twice))
    greenlets.append(gevent.spawn(look_twice))
    gevent.joinall(greenlets)
    assert [[CAME, CAME], [OTHER, OTHER], [{}, {}]] == [greenlet.value for greenlet in greenlets]


def test_subclass() -> None:
    """A greenlet of another class follows from where it is started, not from where it is made."""
    with meshtrace.use(OTHER):
        greenlet = _Looking()
    with meshtrace.use(CAME):
        greenlet.start()
    assert CAME == greenlet.get()


def test_later() -> None:
    """One that starts later has the request of who said so."""
    with meshtrace.use(CAME):
        greenlet = gevent.spawn_later(0.001, look)
    assert CAME == greenlet.get()


@pytest.mark.parametrize("pool", [gevent.pool.Pool(2), gevent.pool.Group()], ids=["pool", "group"])
def test_pool(pool: gevent.pool.Group) -> None:
    """The greenlets of a pool and of a group follow, in each of its ways."""
    with meshtrace.use(CAME):
        assert [CAME] * 2 == pool.map(lambda _: look(), range(2))
        assert [CAME] * 2 == list(pool.imap(lambda _: look(), range(2)))
        assert CAME == pool.apply_async(look).get()
    assert {} == pool.spawn(look).get()


def test_greenlet_of_a_greenlet() -> None:
    """A greenlet that is started by such a greenlet follows, too."""
    with meshtrace.use(CAME):
        greenlet = gevent.spawn(lambda: gevent.spawn(look).get())
    assert CAME == greenlet.get()


def test_other_variables_do_not_come_along() -> None:
    """Nothing but the request is in a greenlet's contextvars: what others keep there is theirs."""
    other = ContextVar("other", default="nothing")
    token = other.set("something")
    with meshtrace.use(CAME):
        assert "nothing" == gevent.spawn(other.get).get()
    other.reset(token)


def test_its_own_contextvars_stay() -> None:
    """A greenlet that was given contextvars by somebody else keeps them."""
    with meshtrace.use(OTHER):
        context = copy_context()
    greenlet = gevent.Greenlet(look)
    greenlet.gr_context = context
    with meshtrace.use(CAME):
        greenlet.start()
    assert OTHER == greenlet.get()


def test_what_it_sets_stays_in_it() -> None:
    """What a greenlet makes current, nobody else sees."""
    with meshtrace.use(CAME):
        gevent.spawn(meshtrace.use(OTHER).__enter__).join()
        assert CAME == look()
        assert CAME == gevent.spawn(look).get()


def test_fault(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours does not keep a greenlet from running."""
    monkeypatch.setattr("meshtrace.concurrency.greenlets.Context", None)
    with meshtrace.use(CAME):
        assert {} == gevent.spawn(look).get()
    assert ["meshtrace: a fault while starting a greenlet; going on without"] == caplog.messages


def test_unpatched() -> None:
    """Taken back, a greenlet starts with nothing; patching twice is patching once."""
    meshtrace.patch("gevent")
    meshtrace.unpatch("gevent")
    with meshtrace.use(CAME):
        assert gevent.spawn(CURRENT.get).get() is None
