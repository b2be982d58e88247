"""
A Flask application that calls two services with requests.

It stands at the edge: what arrives here was sent by anyone at all. So it takes over the trace ids
and nothing else (``incoming="ids"``), and says itself who the user is.
"""

from __future__ import annotations

import os
from typing import Literal

from flask import Blueprint, Flask, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

import meshtrace
from examples.bookinfo.productpage import backends
from examples.bookinfo.service import logger

PRODUCTS = [
    {
        "id": 0,
        "title": "The Comedy of Errors",
        "description": "Two brothers, both called Antipholus, and their servants, both called "
        "Dromio, were parted in a shipwreck as infants. One day all four are in Ephesus, and "
        "nobody there can tell who is who: wives, merchants and the law each take hold of the "
        "wrong twin. It is Shakespeare's shortest play.",
    }
]

log = logger("productpage")

# From here on every requests session of this process, also the passing one of `requests.get`.
meshtrace.patch("requests")

pages = Blueprint("pages", __name__)


@pages.before_request
def tell_who_asks() -> None:
    """Let the mesh route by user: it sees this header on the calls made for this request."""
    if "user" in session:
        meshtrace.set_header("end-user", session["user"])
    if request.path != "/health":
        user = f" user={session['user']}" if "user" in session else ""
        log.info("%s %s%s", request.method, request.path, user)


@pages.get("/")
def index() -> ResponseReturnValue:
    """Lead to the one page there is."""
    return redirect(url_for("pages.productpage"))


@pages.get("/productpage")
def productpage() -> ResponseReturnValue:
    """Show the book, what details knows of it, and what reviews has to say."""
    product = PRODUCTS[0]
    return render_template(
        "productpage.html",
        product=product,
        details=backends.details(0),
        reviews=backends.reviews(0),
        user=session.get("user"),
        trace=meshtrace.current(),
    )


@pages.post("/login")
def login() -> ResponseReturnValue:
    """Remember the name in the signed session cookie; this bookshop asks for no password."""
    session["user"] = " ".join(request.form.get("username", "").split())[:40] or "nobody"
    return redirect(url_for("pages.productpage"))


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """Forget the name."""
    session.pop("user", None)
    return redirect(url_for("pages.productpage"))


@pages.get("/api/v1/products")
def list_products() -> ResponseReturnValue:
    """List the books."""
    return PRODUCTS


@pages.get("/api/v1/products/<int:product>")
def product_details(product: int) -> ResponseReturnValue:
    """Pass on what details says."""
    answer = backends.details(product)
    return answer.content, answer.status


@pages.get("/api/v1/products/<int:product>/reviews")
def product_reviews(product: int) -> ResponseReturnValue:
    """Pass on what reviews says."""
    answer = backends.reviews(product)
    return answer.content, answer.status


@pages.get("/api/v1/products/<int:product>/ratings")
def product_ratings(product: int) -> ResponseReturnValue:
    """Pass on what ratings says."""
    answer = backends.ratings(product)
    return answer.content, answer.status


@pages.get("/health")
def health() -> ResponseReturnValue:
    """Give a sign of life."""
    return {"status": "productpage is healthy"}


def create_app(*, incoming: Literal["trust", "ids"] = "ids") -> Flask:
    """Build the application, with meshtrace outermost so that all of Flask runs inside it."""
    app = Flask(__name__)
    app.secret_key = os.environ.get("SECRET_KEY") or os.urandom(32)
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.register_blueprint(pages)
    app.wsgi_app = meshtrace.MeshTraceWSGI(app.wsgi_app, incoming=incoming)  # type: ignore[method-assign]
    return app
