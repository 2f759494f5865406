"""First bytes of an answer that is no HTTP/1 -> what it looks like."""

from __future__ import annotations

# First bytes, and what they are. Texts are in capitals, and found in any letter case.
_GREETINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x15\x03", "a TLS alert"),  # RFC 8446, 5.1 and 6
    (b"SSH-", "SSH"),  # RFC 4253, 4.2
    (b"220 ", "SMTP or FTP"),  # RFC 5321, 3.1; RFC 959, 5.4
    (b"220-", "SMTP or FTP"),
    (b"554 ", "SMTP"),  # RFC 5321, 3.1: it takes no mail
    (b"+OK", "POP3"),  # RFC 1939, 4
    (b"* OK", "IMAP"),  # RFC 9051, 7.1.1
    (b"* BYE", "IMAP"),
    (
        b"-ERR",
        "Redis, or POP3",
    ),  # https://redis.io/docs/latest/develop/reference/protocol-spec/
    (b"-DENIED", "Redis"),
    (b"RFB ", "VNC"),  # RFC 6143, 7.1.1
    (b"RTSP/", "RTSP"),  # RFC 7826, 5.1
    (b"SIP/", "SIP"),  # RFC 3261, 7.2
    (b"ICY ", "a radio station (SHOUTcast)"),
    (b"HTTP/0.9", "HTTP/0.9"),
    (b"HTTP/2", "HTTP/2"),
    (b"POST ", "the request, sent back"),
    (b"<", "a page without a head"),  # HTTP/0.9
    (b"{", "JSON without a head"),
)

_LENGTH_BYTES = 3
_HTTP2_SETTINGS = b"\x04\x00\x00\x00\x00\x00"  # Type, flags and stream: RFC 9113, 4.1
_MYSQL_VERSION = b"\x00\x0a"  # Number of the packet, and version 10 of the protocol


def describe_greeting(start: bytes) -> str | None:
    """Return what an answer with this *start* looks like; None if it is unknown."""
    behind_length = start[_LENGTH_BYTES:]
    if behind_length.startswith(_HTTP2_SETTINGS):
        return "HTTP/2, as gRPC does"
    # https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
    if behind_length.startswith(_MYSQL_VERSION):
        return "MySQL"
    text = start.upper()
    return next((what for first, what in _GREETINGS if text.startswith(first)), None)
