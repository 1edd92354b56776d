"""Starts `af serve`, asks it for a few things over its port, and stops it. Arguments: data folder, then the command."""

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Fail with whatever the server says when anything is not as it should be."""
    server = subprocess.Popen([*sys.argv[2:], "serve", "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if line.startswith("READY"):
            break
    else:
        sys.exit("".join(said))
    port = int(said[-1].split()[1].rpartition(":")[2])
    key = Path(sys.argv[1], "auth", "first.key").read_text().strip()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for method, path, body, expected in (
        ("GET", "/readyz", None, 200),
        ("GET", "/docs", None, 200),
        ("GET", "/v1/models", None, 200),
        ("PUT", "/v1/workflows/hello", WORKFLOW, 200),
        ("POST", "/v1/runs", {"workflow": "hello", "input": {}, "wait": 30}, 200),
        ("POST", "/v1/chat/completions", {"model": "workflow:hello", "messages": [ASKED]}, 200),
        ("GET", "/v1/runs", None, 200),
        ("GET", "/metrics", None, 200),
    ):
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        print(method, path, answer.status)
        if answer.status // 100 != expected // 100:
            sys.exit(f"{method} {path}: {answer.status} {text}")
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    sys.exit(server.returncode)


ASKED = {"role": "user", "content": "Look at https://example.com and http://192.0.2.1/x for jane@example.com"}
WORKFLOW = {
    "name": "hello",
    "agents": {"say": {"type": "llm", "prompt": "x", "model": {"provider": "scripted", "answers": ["hello"]}}},
}

if __name__ == "__main__":
    main()
