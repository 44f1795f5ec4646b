"""The files of a folder as http.server serves them, with HTTP/1.1, and a few answers that it has to think about."""

import http.server
import sys
import time


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def do_GET(self):
        if self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(300):
                self.chunk(b"%d and more. " % number)
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/late":
            time.sleep(0.2)
            self.send_response_only(102)
            self.end_headers()
            self.wfile.flush()
            time.sleep(0.2)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"la")
            self.wfile.flush()
            time.sleep(0.2)
            self.wfile.write(b"te")
        elif self.path == "/until-close":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 100000)
            self.close_connection = True
        else:
            super().do_GET()

    def do_POST(self):
        """Sends back what comes, in whatever framing it comes."""
        if self.headers["Transfer-Encoding"] == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), lambda *args: Handler(*args, directory=sys.argv[2])).serve_forever()
