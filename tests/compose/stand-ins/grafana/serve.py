"""Read the data sources as Grafana does, ask each for its buckets, and say on port 3000 whether it answered."""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

SOURCE = Path("/etc/grafana/provisioning/datasources/shopfloor.yml").read_text()
URL = re.findall(r"url: (\S+)", SOURCE)[0]
# Grafana ends when a file that its settings name is not there
TOKEN = Path(re.findall(r"\$__file\{(.+?)\}", SOURCE)[0]).read_text()


class Health(BaseHTTPRequestHandler):
    """GET /api/health."""

    def do_GET(self) -> None:
        asked = Request(f"{URL}/api/v2/buckets", headers={"Authorization": f"Token {TOKEN}"})
        with urlopen(asked, timeout=3) as answer:
            buckets = json.load(answer)["buckets"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"database": "ok" if buckets else "empty"}).encode())


sys.stderr.write(f"asking {URL}\n")
ThreadingHTTPServer(("", 3000), Health).serve_forever()
