"""The four services, each by itself: no mesh, and the calls between them answered here."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
import responses
from flask.testing import FlaskClient
from starlette.testclient import TestClient
from werkzeug.test import Client

import meshtrace

IDS = {
    "x-request-id": "a6d58f44-5815-9f9f-bb1a-b6df32c63be8",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-spanid": "e457b5a2e4d86bd1",
    "x-b3-sampled": "1",
}
REVIEWS = {
    "podname": "reviews-v3",
    "reviews": [
        {"reviewer": "Reviewer1", "text": "Good.", "rating": {"stars": 4, "color": "red"}},
        {"reviewer": "Reviewer2", "text": "Bad.", "rating": {"error": "No ratings now"}},
    ],
}


def _service(name: str) -> ModuleType:
    # Not at the top: productpage patches requests when it is imported, as a service should.
    return importlib.import_module(f"examples.bookinfo.{name}.app")


@pytest.fixture
def network() -> Iterator[responses.RequestsMock]:
    """Answer what the services call, and refuse everything else."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as network:
        yield network


@pytest.fixture
def visitor(network: responses.RequestsMock) -> FlaskClient:
    """Give a browser in front of productpage, with details and reviews behind it."""
    network.get("http://details:9080/details/0", json=_service("details").BOOK)
    network.get("http://reviews:9080/reviews/0", json=REVIEWS)
    productpage = _service("productpage")
    meshtrace.patch("requests")
    client: FlaskClient = productpage.create_app().test_client()
    return client


def test_the_page_shows_the_book_with_details_and_stars(visitor: FlaskClient) -> None:
    """What details and reviews said is on it, the stars in reviews' colour."""
    page = visitor.get("/productpage").text
    assert "The Comedy of Errors" in page
    assert "Quarto Press" in page
    assert 'class="stars red" title="4 of 5 stars">★★★★☆<' in "".join(page.split("\n"))
    assert "No ratings now" in page
    assert 'id="reviews-served-by">reviews-v3<' in page


def test_the_page_is_there_without_reviews(
    visitor: FlaskClient, network: responses.RequestsMock
) -> None:
    """A service that does not answer leaves its own place empty, and no other."""
    network.remove("GET", "http://reviews:9080/reviews/0")
    answer = visitor.get("/productpage")
    assert 200 == answer.status_code
    assert "Sorry, the reviews" in answer.text
    assert "Quarto Press" in answer.text


def test_the_ids_go_on_to_both_calls(visitor: FlaskClient, network: responses.RequestsMock) -> None:
    """What came with the request for the page goes out with the calls that it takes."""
    visitor.get("/productpage", headers=IDS)
    assert [IDS, IDS] == [
        {name: call.request.headers.get(name) for name in IDS} for call in network.calls
    ]


def test_the_user_goes_on_once_signed_in(
    visitor: FlaskClient, network: responses.RequestsMock
) -> None:
    """The page's service tells the mesh who asks: nobody, then jason, then nobody again."""
    visitor.get("/productpage")
    assert 302 == visitor.post("/login", data={"username": "jason"}).status_code
    assert "Signed in as <strong>jason</strong>" in visitor.get("/productpage").text
    visitor.post("/logout")
    visitor.get("/productpage")
    told = [call.request.headers.get("end-user") for call in network.calls]
    assert [None, None, "jason", "jason", None, None] == told


def test_a_visitor_cannot_say_who_asks(
    visitor: FlaskClient, network: responses.RequestsMock
) -> None:
    """At the edge an `end-user` header from outside is nobody's word."""
    visitor.get("/productpage", headers={**IDS, "end-user": "jason"})
    assert [None, None] == [call.request.headers.get("end-user") for call in network.calls]


def test_a_name_is_one_short_line(visitor: FlaskClient) -> None:
    """Whatever is typed, it cannot write lines of its own into the log."""
    visitor.post("/login", data={"username": "  jason\nroot logged in " + "x" * 100})
    page = visitor.get("/productpage").text
    assert f"<strong>jason root logged in {'x' * 19}</strong>" in page


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param("", "http://details:9080/details/0", id="a book"),
        pytest.param("/reviews", "http://reviews:9080/reviews/0", id="its reviews"),
        pytest.param("/ratings", "http://ratings:9080/ratings/0", id="its ratings"),
    ],
)
def test_the_api_passes_on_what_a_service_says(
    visitor: FlaskClient, network: responses.RequestsMock, path: str, asked: str
) -> None:
    """Content and status come from the service behind."""
    network.upsert("GET", asked, json={"says": path}, status=418)
    answer = visitor.get(f"/api/v1/products/0{path}")
    assert (418, {"says": path}) == (answer.status_code, answer.json)


def test_details_knows_one_book() -> None:
    """The one book is there, and no other."""
    client = Client(_service("details").app)
    assert "William Shakespeare" in client.get("/details/0").text
    assert 404 == client.get("/details/1").status_code


@pytest.mark.parametrize(
    ("version", "rating"),
    [
        pytest.param("v1", None, id="v1 shows none"),
        pytest.param("v2", {"stars": 5, "color": "black"}, id="v2 shows black ones"),
        pytest.param("v3", {"stars": 5, "color": "red"}, id="v3 shows red ones"),
    ],
)
def test_stars(
    version: str,
    rating: object,
    network: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reviews asks ratings in versions 2 and 3, with the ids of the request it works on."""
    reviews = _service("reviews")
    monkeypatch.setattr(reviews, "VERSION", version)
    stars = {"ratings": {"Reviewer1": 5, "Reviewer2": 4}}
    network.get("http://ratings:9080/ratings/0", json=stars)
    with TestClient(reviews.app) as client:
        answer = client.get("/reviews/0", headers=IDS).json()
    assert rating == answer["reviews"][0].get("rating")
    sent = [{name: call.request.headers.get(name) for name in IDS} for call in network.calls]
    assert [IDS] * (version != "v1") == sent


def test_reviews_without_ratings(
    network: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If ratings fails, the reviews are there and say so."""
    reviews = _service("reviews")
    monkeypatch.setattr(reviews, "VERSION", "v2")
    network.get("http://ratings:9080/ratings/0", status=503)
    with TestClient(reviews.app) as client:
        answer = client.get("/reviews/0").json()
    assert ["error"] == list(answer["reviews"][0]["rating"])


def test_ratings_fills_its_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start finds what the first left, changed or not."""
    ratings = _service("ratings")
    monkeypatch.setattr(ratings, "DATABASE", str(tmp_path / "ratings.sqlite"))
    with TestClient(ratings.app) as client:
        first = client.get("/ratings/0").json()
    with closing(sqlite3.connect(tmp_path / "ratings.sqlite")) as database, database:
        database.execute("UPDATE ratings SET stars = 1 WHERE reviewer = 'Reviewer2'")
    with TestClient(ratings.app) as client:
        second = client.get("/ratings/0").json()
    assert {"Reviewer1": 5, "Reviewer2": 4} == first["ratings"]
    assert {"Reviewer1": 5, "Reviewer2": 1} == second["ratings"]
