"""/metrics, /healthz and /readyz as a probe sees them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from christmas.telemetry.http import LOOP_STUCK_AFTER_S, Health, HttpServer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def server(health: Health) -> Iterator[HttpServer]:
    server = HttpServer(health, host="127.0.0.1", port=0)
    server.start()
    yield server
    server.close()


def get(server: HttpServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_not_ready_says_why_and_ready_says_ok(server: HttpServer, health: Health) -> None:
    assert get(server, "/readyz") == (503, "starting\n")
    health.ready("the venue does not answer")
    assert get(server, "/readyz") == (503, "the venue does not answer\n")
    health.ready(None)
    assert get(server, "/readyz") == (200, "ok\n")


def test_a_stuck_event_loop_is_neither_alive_nor_ready(server: HttpServer, health: Health, clock: Clock) -> None:
    health.ready(None)
    clock.now += LOOP_STUCK_AFTER_S + 1
    assert get(server, "/healthz") == (503, "the event loop has been stuck for 11 s\n")
    assert get(server, "/readyz")[0] == 503
    health.beat()
    assert get(server, "/healthz") == (200, "ok\n")


def test_metrics_are_in_prometheus_text(server: HttpServer) -> None:
    status, body = get(server, "/metrics")
    assert status == 200
    assert "# TYPE python_info gauge" in body


def test_any_other_path_names_the_right_ones(server: HttpServer) -> None:
    assert get(server, "/") == (404, "try /metrics, /healthz or /readyz\n")


def test_a_page_of_the_process_is_shown_as_it_is_now(health: Health) -> None:
    pages: dict[str, bytes] = {}
    server = HttpServer(health, host="127.0.0.1", port=0, pages=pages)
    server.start()
    try:
        assert get(server, "/status")[0] == 404
        pages["/status"] = b'{"epoch":1}'
        assert get(server, "/status") == (200, '{"epoch":1}')
        pages["/status"] = b'{"epoch":2}'
        assert get(server, "/status") == (200, '{"epoch":2}')
    finally:
        server.close()


def test_what_only_a_new_start_mends_is_told_by_healthz(server: HttpServer, health: Health) -> None:
    health.ready(None)
    health.alive("the watch of Pod has not shown for 91 s what we wrote")
    assert get(server, "/healthz") == (503, "the watch of Pod has not shown for 91 s what we wrote\n")
    health.alive(None)
    assert get(server, "/healthz") == (200, "ok\n")


def test_the_next_process_gets_the_port_while_connections_to_the_last_are_still_remembered(health: Health) -> None:
    first = HttpServer(health, host="127.0.0.1", port=0)
    first.start()
    port = first.port
    # HTTP/1.0: the server closes first, so the port is in TIME_WAIT on its side.
    get(first, "/healthz")
    first.close()
    second = HttpServer(health, host="127.0.0.1", port=port)
    second.start()
    assert get(second, "/healthz")[0] == 200
    second.close()
