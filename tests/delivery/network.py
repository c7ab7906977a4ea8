"""A TCP proxy before a server, which can be down, slow, silent, or break connections in the middle of what is sent."""
import socket
import struct
import threading
import time

CHUNK = 16 << 10


class Proxy:
    def __init__(self, port):
        self.target = port
        self.lock = threading.Lock()
        self.sockets = set()
        self.listening = None
        self.delay = 0.0
        self.resets = 0
        self.flowing = threading.Event()
        self.flowing.set()
        self.port = None
        self.heal()

    def heal(self):
        self.delay, self.resets = 0.0, 0
        self.flowing.set()
        if self.listening is None:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self.port or 0))
            listening.listen(64)
            self.port = listening.getsockname()[1]
            self.listening = listening
            threading.Thread(target=self.accept, args=(listening,), daemon=True).start()

    def down(self):
        """Nobody listens, and connections that there were are reset."""
        listening, self.listening = self.listening, None
        if listening:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        self.cut()

    def cut(self):
        with self.lock:
            sockets = list(self.sockets)
        for each in sockets:
            reset(each)

    def silence(self):
        """Connections stay, and nothing comes through."""
        self.flowing.clear()

    def slow(self, seconds):
        self.delay = seconds

    def reset_next(self, times):
        """That many times a connection is reset when some of a request has gone through."""
        self.resets = times

    def accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                reset(client)
                continue
            with self.lock:
                self.sockets |= {client, server}
            for source, sink, is_request in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=(source, sink, is_request), daemon=True).start()

    def pump(self, source, sink, is_request):
        passed = 0
        try:
            while data := source.recv(CHUNK):
                self.flowing.wait()
                if self.delay:
                    time.sleep(self.delay)
                if is_request and passed + len(data) > 600 and self.takes_reset():
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
                passed += len(data)
        except OSError:
            pass
        with self.lock:
            self.sockets -= {source, sink}
        reset(source)
        reset(sink)

    def takes_reset(self):
        with self.lock:
            if self.resets > 0:
                self.resets -= 1
                return True
            return False


def reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    try:
        connection.close()
    except OSError:
        pass
