"""A real headless Chromium, and a server that hears whatever it asks for."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def run(page: Path, profile: Path, *options: str) -> str:
    """Open a page, wait until it has loaded, and give the document as it is then."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-features=NetworkTimeServiceQuerying",
            "--no-first-run",
            f"--user-data-dir={profile}",
            "--dump-dom",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
        encoding="utf-8",
    )
    return done.stdout


@contextmanager
def everything_heard() -> Iterator[tuple[str, list[str]]]:
    """The option that sends every host to a local server, and the paths that were asked for."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(f"{self.headers['Host']}{self.path}")
            self.send_response(404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"--host-resolver-rules=MAP * 127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
