"""A small stand-in for the ancestor's proxy: buffers whole answers and gives chat requests an assistant turn that has thought already."""

import http.client
import http.server
import json
import sys

HOST, PORT, BACKEND_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
DROPPED = ("connection", "content-length", "host", "transfer-encoding")
THOUGHT_ALREADY = {"role": "assistant", "content": "<think>\n\n</think>\n\n"}


def without_thinking(body):
    request = json.loads(body)
    messages = request.get("messages", [])
    if messages and messages[-1].get("role") != "assistant":
        messages.append(THOUGHT_ALREADY)
    return json.dumps(request).encode()


class Relay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def relay(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.command == "POST" and self.path == "/v1/chat/completions":
            body = without_thinking(body)
        backend = http.client.HTTPConnection("127.0.0.1", BACKEND_PORT)
        try:
            backend.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in DROPPED})
            answer = backend.getresponse()
            content = answer.read()
            status, headers = answer.status, answer.getheaders()
        except OSError as error:
            status, headers, content = 502, [("content-type", "text/plain")], str(error).encode()
        finally:
            backend.close()
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in DROPPED:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_OPTIONS = relay

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer((HOST, PORT), Relay).serve_forever()
