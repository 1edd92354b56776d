"""A service of the site's that answers in JSON."""

import json
from http.server import BaseHTTPRequestHandler


class JsonSite(BaseHTTPRequestHandler):
    """What a test's service is made of; it says nothing on stderr."""

    def reply(self, document: object) -> None:
        """Answer with a document."""
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
