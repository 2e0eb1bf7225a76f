# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over asyncio, as small as the demo needs: a server for handlers, and one request.

A handler takes a Request and returns (status, headers, body), or None to close the connection
without an answer. Everything read is bounded.
"""
import asyncio
import http
import os
import socket
import sys
import threading
import urllib.parse

HEAD_MAX = 64 * 1024
BODY_MAX = 4 * 1024 * 1024
IDLE_S = 75


class Request:
    """One request: method, path, query (last value wins), lower-case headers, body."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, text = target.partition("?")
        self.path = urllib.parse.unquote(self.path)
        self.query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))

    def form(self):
        """The query plus an urlencoded body."""
        text = self.body.decode("utf-8", "replace") if self.method == "POST" else ""
        return {**self.query, **dict(urllib.parse.parse_qsl(text, keep_blank_values=True))}


def _head(raw):
    lines = raw.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, sep, value = line.partition(":")
        if sep:
            headers[name.strip().lower()] = value.strip()
    return lines[0], headers


async def _body(reader, headers):
    if "chunked" in headers.get("transfer-encoding", "").lower():
        data = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            if len(data) + size > BODY_MAX:
                raise ValueError("body too large")
            data += await reader.readexactly(size)
            await reader.readline()
            if size == 0:
                return data
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= BODY_MAX:
        raise ValueError("body too large")
    return await reader.readexactly(size)


def _answer(status, headers, body, keep):
    phrase = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}",
             "Connection: " + ("keep-alive" if keep else "close")]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def _converse(handler, reader, writer):
    while True:
        raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
        first, headers = _head(raw[:-4])
        method, target, version = first.split(" ")
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await asyncio.wait_for(_body(reader, headers), IDLE_S)
        answer = await handler(Request(method, target, headers, body))
        if answer is None:
            return
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        writer.write(_answer(*answer, keep))
        await writer.drain()
        if not keep:
            return


async def serve(handler, sock, tls=None):
    """Starts a server on a bound socket; a broken peer ends its own connection only."""
    async def connected(reader, writer):
        try:
            await _converse(handler, reader, writer)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
    return await asyncio.start_server(connected, sock=sock, ssl=tls, limit=HEAD_MAX)


def free_socket(port=0):
    """A socket bound on the loopback address; nothing answers on it until it is served."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


async def request(port, path, method="GET", headers=None, body=b"", timeout_s=10, tls=None):
    """One request on its own connection: (status, body). Raises OSError or asyncio.TimeoutError."""
    async def exchange():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=HEAD_MAX, ssl=tls)
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close",
                     f"Content-Length: {len(body)}"] + [f"{k}: {v}" for k, v in (headers or {}).items()]
            writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            first, answered = _head((await reader.readuntil(b"\r\n\r\n"))[:-4])
            return int(first.split(" ")[1]), await _body(reader, answered)
        except (EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as bad:
            raise ConnectionError(f"127.0.0.1:{port}{path}: broken answer: {bad}") from None
        finally:
            writer.close()
    return await asyncio.wait_for(exchange(), timeout_s)


def end_with_stdin():
    """Ends this process at once when its standard input ends, that is, when its parent is gone."""
    def watch():
        while sys.stdin.buffer.read1(4096):
            pass
        os._exit(0)
    threading.Thread(target=watch, daemon=True).start()
