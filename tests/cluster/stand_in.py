# ruff: noqa: T201
"""Runs in a pod in the place of a runtime and of a gateway: what they answer, without what they do."""

import json
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

POSITION = {
    "position_id": "p1",
    "symbol": "BTC/USDT",
    "quantity": "0.1",
    "average_price": "100",
    "break_even_price": "100.2",
    "unrealised_pnl": "-1.5",
    "opened_us": 1_000_000,
}
STATUS = {
    "strategy": "btc-scalper",
    "epoch": 1,
    "time_us": 5_000_000,
    "state": "Waiting",
    "why": "rsi(14) is 41.2, needs < 30",
    "positions": [POSITION],
}


class Status(BaseHTTPRequestHandler):
    pages: ClassVar = {"/status": STATUS}

    def do_GET(self) -> None:
        body = json.dumps(self.pages.get(self.path, {})).encode()
        self.send_response(200 if self.path in self.pages else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """The log has only what the test reads."""


class Gateway(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        frame = json.loads(self.rfile.read(int.from_bytes(self.rfile.read(4), "big")))
        message = f"{frame['action']} {frame.get('strategy', 'all')} {frame['reason']}"
        # A long answer crosses the forwarded port in many pieces.
        answer = {"type": "command_result", "ok": True, "message": message + " " * 200_000 + "."}
        body = json.dumps(answer).encode()
        self.wfile.write(len(body).to_bytes(4, "big") + body)


print(json.dumps({"time": "2026-01-01T00:00:00.000Z", "level": "info", "message": "hello"}), flush=True)
threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", 9400), Status).serve_forever, daemon=True).start()  # noqa: S104
# On the loopback only: as a NetworkPolicy would have it, nobody comes in from outside.
threading.Thread(
    target=socketserver.ThreadingTCPServer(("127.0.0.1", 7400), Gateway).serve_forever, daemon=True
).start()
for number in range(int(sys.argv[1])):
    print(json.dumps({"level": "info", "message": f"line {number}"}), flush=True)
    time.sleep(1)
