"""A product page that asks another service for reviews."""

import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import meshtrace

__all__ = ["app"]

meshtrace.patch()


def product(request: Request) -> JSONResponse:
    """Show one product."""
    number = request.path_params["number"]
    reviews = requests.get(f"http://reviews:9080/reviews/{number}", timeout=5)
    return JSONResponse({"product": number, "reviews": reviews.json()})


app = Starlette(routes=[Route("/products/{number:int}", product)])
app.add_middleware(meshtrace.MeshTrace)
