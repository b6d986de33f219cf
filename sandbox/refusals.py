"""Errors in the words of the API that was called; an unknown path is refused with 501 and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.cohere_face.errors import CohereError
from sandbox.ml_commons_face.errors import OpenSearchError
from sandbox.openai_face.errors import OpenAIError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response


def _not_served(path: str, method: str) -> str:
    return f"the sandbox does not serve {method} {path}"


async def unknown_path(request: Request, exc: Exception) -> Response:
    return _refuse(request, 501, _not_served(request.url.path, request.method))


async def wrong_method(request: Request, exc: Exception) -> Response:
    path, method = request.url.path, request.method
    if not path.startswith("/_plugins"):
        return _refuse(request, 405, f"Not allowed to {method} on {path}")
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.path_regex.match(path)]
    allowed = ", ".join(sorted({name for route in routes for name in route.methods or ()} - {"HEAD"}))
    reason = f"Incorrect HTTP method for uri [{path}] and method [{method}], allowed: [{allowed}]"
    return JSONResponse({"error": reason, "status": 405}, status_code=405, headers={"Allow": allowed})


async def http_error(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return _refuse(request, status, str(getattr(exc, "detail", exc)))


async def own_error(request: Request, exc: Exception) -> Response:
    if isinstance(exc, OpenAIError | OpenSearchError | CohereError):
        return JSONResponse(exc.to_dict(), status_code=exc.status)
    raise exc


def _refuse(request: Request, status: int, message: str) -> Response:
    if request.url.path.startswith("/v1/"):
        error: Any = OpenAIError(status, message, code="not_served_by_the_sandbox" if status == 501 else None)
    else:
        error = OpenSearchError(status, "unsupported_operation_exception" if status == 501 else "exception", message)
    return JSONResponse(error.to_dict(), status_code=status)


HANDLERS: dict[Any, Callable[[Request, Exception], Any]] = {
    404: unknown_path,
    405: wrong_method,
    HTTPException: http_error,
    OpenAIError: own_error,
    OpenSearchError: own_error,
    CohereError: own_error,
}
