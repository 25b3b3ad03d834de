"""What answers in the world of web_world.sh; runs in the machine."""

import http.server
import socketserver
import ssl
import threading


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"REACHED {self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Mail(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 world ready\r\n")
        self.request.recv(100)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("/root/world/server.crt", "/root/world/server.key")
secure = Server(("", 443), Page)
# The handshake is the connection's own affair: one that is refused half-way must not hold up the others.
secure.socket = tls.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
for server in (secure, Server(("", 25), Mail)):
    threading.Thread(target=server.serve_forever, daemon=True).start()
Server(("", 80), Page).serve_forever()
