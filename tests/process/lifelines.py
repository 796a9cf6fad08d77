"""Connections that processes of a function hold: the kernel closes each with its last holder."""

from __future__ import annotations

import socket


class Lifelines:
    """`alive` has the names of those that are still held."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._open: dict[socket.socket, bytes] = {}

    def alive(self) -> set[str]:
        """Who has said his name and is there."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                break
            connection.setblocking(False)
            self._open[connection] = b""
        for connection in list(self._open):
            try:
                data = connection.recv(64)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            self._open[connection] += data
            if not data:
                del self._open[connection]
                connection.close()
        return {said.decode().strip() for said in self._open.values() if said.endswith(b"\n")}

    def close(self) -> None:
        for connection in (*self._open, self._listener):
            connection.close()
