"""Server-sent events, read from bytes as they arrive: pure, no I/O.

Follows the event stream grammar of the WHATWG HTML standard, chapter "Server-sent events". Field
names other than ``data`` (``event``, ``id``, ``retry``) mean nothing to this protocol and are
skipped, as are comments, which servers send to keep a silent connection open.
"""

from __future__ import annotations

MAX_EVENT_BYTES = 1 << 20
"""Far above any chunk of a chat answer; what is longer is not this protocol."""

_BOM = b"\xef\xbb\xbf"


class MalformedStream(ValueError):
    """The bytes are not an event stream: a line or an event without end, or not UTF-8."""


class EventStream:
    """Cuts bytes into the data of events, wherever the network cut the bytes.

    Args:
        max_bytes: Bound on one line and on the data of one event.
    """

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._at_start = True
        self._after_cr = False

    def feed(self, received: bytes) -> list[str]:
        """Take the next bytes; return the data of each event that they complete, in order.

        Raises:
            MalformedStream: See there; the stream cannot be read on.
        """
        events: list[str] = []
        for line in self._lines(received):
            if not line:
                if self._data:
                    events.append(self._take_event())
            elif line.startswith(b"data"):
                self._add_data(line)
        return events

    def _lines(self, received: bytes) -> list[bytes]:
        if self._after_cr and received:
            # The line ended at its CR already; this LF is the other half of the same ending.
            received = received.removeprefix(b"\n")
            self._after_cr = False
        buffered = self._rest + received
        if self._at_start:
            if _BOM.startswith(buffered):
                self._rest = buffered
                return []
            buffered = buffered.removeprefix(_BOM)
            self._at_start = False
        # bytes.splitlines cuts at CR, LF and CRLF and at nothing else, which is the grammar's rule.
        lines = buffered.splitlines()
        self._after_cr = buffered.endswith(b"\r")
        self._rest = b""
        if lines and not buffered.endswith((b"\n", b"\r")):
            self._rest = lines.pop()
            self._bound(len(self._rest))
        return lines

    def _add_data(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_bytes += len(line)
            self._bound(self._data_bytes)

    def _take_event(self) -> str:
        data = b"\n".join(self._data)
        self._data = []
        self._data_bytes = 0
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedStream(f"an event is not UTF-8 at byte {error.start}") from error

    def _bound(self, size: int) -> None:
        if size > self._max_bytes:
            raise MalformedStream(f"an event is longer than {self._max_bytes} bytes")
