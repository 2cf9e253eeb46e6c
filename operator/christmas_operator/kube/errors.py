"""How requests to the API server fail, by what is to be done about it."""

from __future__ import annotations


class ApiError(Exception):
    """The API server said no, or nothing. ``reason`` is for metrics: CamelCase, from a small set."""

    def __init__(self, reason: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class NotFound(ApiError):
    """404: it is gone."""


class Conflict(ApiError):
    """409: what we knew is out of date; look again."""


class Throttled(ApiError):
    """429, or 503 with Retry-After: come back later, not sooner."""

    def __init__(self, message: str, retry_after_s: float, status: int = 429) -> None:
        super().__init__("Throttled", message, status)
        self.retry_after_s = retry_after_s


class Forbidden(ApiError):
    """403: the Role lacks a verb, or the namespace is going away."""


class Invalid(ApiError):
    """422 or 400: the object itself is wrong; sending it again will not help."""


class Unreachable(ApiError):
    """No connection, no answer in time, or 5xx."""


class NotLeading(ApiError):
    """This operator no longer holds the Lease: it may not write."""

    def __init__(self) -> None:
        super().__init__("NotLeading", "another operator may be active")


def error_of(status: int, message: str, retry_after: str | None) -> ApiError:
    """The error for an answer that is not 2xx."""
    if status == 404:
        return NotFound("NotFound", message, status)
    if status == 409:
        return Conflict("Conflict", message, status)
    if status == 429 or (status == 503 and retry_after):
        try:
            after = float(retry_after or 1)
        except ValueError:
            after = 1.0
        return Throttled(message, max(0.0, after), status)
    if status in {401, 403}:
        return Forbidden("Forbidden", message, status)
    if status in {400, 413, 415, 422}:
        return Invalid("Invalid", message, status)
    return Unreachable("ServerError", message, status)
