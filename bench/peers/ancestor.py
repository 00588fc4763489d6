"""A proxy that behaves as the ancestor's did, written for the measurement: a thread a connection, each answer read whole before a byte is passed on,
an empty thought appended to chat requests, and a new connection to LM Studio for each request."""

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, backend_port = int(sys.argv[1]), int(sys.argv[2])
NO_THOUGHT = {"role": "assistant", "content": "<think>\n\n</think>\n\n"}
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}


class Ancestor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def relay(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/v1/chat/completions":
            document = json.loads(body)
            document["messages"].append(NO_THOUGHT)
            body = json.dumps(document, ensure_ascii=False).encode()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length"}}
        upstream = http.client.HTTPConnection("127.0.0.1", backend_port, timeout=300)
        upstream.request(self.command, self.path, body or None, {**headers, "Connection": "close"})
        answer = upstream.getresponse()
        whole = answer.read()
        upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    do_GET = do_POST = relay


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("127.0.0.1", port), Ancestor).serve_forever()
