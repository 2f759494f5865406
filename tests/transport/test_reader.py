"""The bytes of a response, read: whole, cut up, odd, hostile."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin import Limits, ProtocolError, ResponseTooLargeError
from limin.transport.content import BodyDecoder
from limin.transport.readable import read_headers
from limin.transport.reader import ResponseReader
from limin.wire.http import HttpResponse

HEAD = b"HTTP/1.1 200 OK\r\n"
DEFAULT = Limits()
SMALL = Limits(header_bytes=200, headers=5, body_bytes=1000)


def raw_deflate(data: bytes) -> bytes:
    """Return *data* as the bare deflate stream that some servers send."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def coded(coding: str, body: bytes) -> bytes:
    """Return a response with a compressed body."""
    return HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        coding.encode(),
        len(body),
        body,
    )


# The bytes, whether the server then closes, the body, and whether the
# connection may be used again.
ANSWERS = {
    "length": (HEAD + b"Content-Length: 2\r\n\r\nhi", False, b"hi", True),
    "no body": (HEAD + b"Content-Length: 0\r\n\r\n", False, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", False, b"", True),
    "identity until close": (
        HEAD + b"Transfer-Encoding: identity\r\n\r\nhi",
        True,
        b"hi",
        False,
    ),
    "until close": (HEAD + b"\r\nhi", True, b"hi", False),
    "empty until close": (HEAD + b"\r\n", True, b"", False),
    "chunked": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;a=b\r\ni\r\n0\r\n\r\n",
        False,
        b"hi",
        True,
    ),
    "chunked in capitals": (
        HEAD + b"TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        False,
        b"hi",
        True,
    ),
    "trailers": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
        False,
        b"hi",
        True,
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + HEAD
        + b"Content-Length: 2\r\n\r\nhi",
        False,
        b"hi",
        True,
    ),
    "close": (
        HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        False,
        b"hi",
        False,
    ),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", False),
    "old kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
        False,
        b"hi",
        True,
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", False, b"hi", True),
    "blank lines first": (
        b"\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
        False,
        b"",
        True,
    ),
    "gzip": (coded("gzip", gzip.compress(b"hi")), False, b"hi", True),
    "gzip of old": (coded("X-GZIP", gzip.compress(b"hi")), False, b"hi", True),
    "gzip of two members": (
        coded("gzip", gzip.compress(b"h") + gzip.compress(b"i")),
        False,
        b"hi",
        True,
    ),
    "empty gzip": (coded("gzip", b""), False, b"", True),
    "deflate": (coded("deflate", zlib.compress(b"hi")), False, b"hi", True),
    "bare deflate": (coded("deflate", raw_deflate(b"hi")), False, b"hi", True),
    "identity": (coded("identity", b"hi"), False, b"hi", True),
    "no coding": (coded("none", b"hi"), False, b"hi", True),
    "charset": (coded("UTF-8", b"hi"), False, b"hi", True),
    "nothing and gzip": (coded("identity, gzip", gzip.compress(b"hi")), False, b"hi", True),
    "two answers": (
        (HEAD + b"Content-Length: 2\r\n\r\nhi") * 2,
        False,
        b"hi",
        False,
    ),
    "rubbish after": (HEAD + b"Content-Length: 2\r\n\r\nhi\x00", False, b"hi", False),
    "rubbish after close": (
        HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi\x00",
        False,
        b"hi",
        False,
    ),
}

# Heads that are framed oddly, as RFC 9112 tells or allows a client to read them, and the
# headers that are left. No connection is kept after one of them.
ODD = {
    "line feeds alone": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi", 1),
    "line feed after the status": (
        b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nhi",
        b"hi",
        1,
    ),
    "line feed after a header": (HEAD + b"Content-Length: 2\nA: 1\r\n\r\nhi", b"hi", 2),
    "line feed at the end": (HEAD + b"Content-Length: 2\r\n\nhi", b"hi", 1),
    "line feeds, chunks": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        1,
    ),
    "line feeds, interim": (
        b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        b"hi",
        1,
    ),
    "line feeds behind an interim": (
        b"\r\nHTTP/1.1 103 A\r\nA: 1\r\n\r\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        b"hi",
        1,
    ),
    "line feeds, no headers": (b"HTTP/1.1 204 No Content\n\n", b"", 0),
    "equal lengths": (HEAD + b"Content-Length: 2\r\n" * 3 + b"\r\nhi", b"hi", 1),
    "list of lengths": (HEAD + b"A: 1\r\ncontent-length: 2, 2\r\n\r\nhi", b"hi", 2),
    "length and chunks": (
        HEAD
        + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        1,
    ),
    "chunks and length": (
        HEAD
        + b"Transfer-Encoding: Chunked\r\nContent-Length: 0\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        1,
    ),
    "folded header": (
        HEAD + b"A: 1\r\n\t 2\r\n \r\nContent-Length: 2\r\n\r\nhi",
        b"hi",
        2,
    ),
    "folded coding": (
        HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        1,
    ),
    "chunked twice": (
        HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        2,
    ),
    "chunks of HTTP/1.0": (
        HEAD.replace(b"1.1", b"1.0")
        + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
        + b"\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        2,
    ),
}

FAILURES = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9\r\n", "the server's bytes are no HTTP"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "are no HTTP"),
    "length and another coding": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nhi",
        "can't be present with",
    ),
    "two transfer codings": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "transfer coding that was not asked for: 'gzip, chunked'",
    ),
    "transfer coding behind chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nhi",
        "'chunked, gzip'",
    ),
    "unknown transfer coding": (
        HEAD + b"Transfer-Encoding: chunkedX\r\n\r\nhi",
        "'chunkedX'",
    ),
    "transfer coding as long as a key": (
        HEAD + b"Transfer-Encoding: sk-0123456789\r\n\r\nhi",
        "the body has a transfer coding that was not asked for$",
    ),
    "control in a length": (
        b"HTTP/1.1 200 OK\nContent-Length: 2\x0b\n\nhi",
        "Content-Length",
    ),
    "control in a coding": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\x0b\r\n\r\nhi",
        "are no HTTP",
    ),
    "line feed behind a chunk's size": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
        "CR after chunk size",
    ),
    "line feed behind a chunk": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\r\nhi\n0\r\n\r\n",
        "CR after chunk data",
    ),
    "carriage return alone": (HEAD + b"A: 1\rB: 2\r\n\r\n", "are no HTTP"),
    "carriage return before a line feed": (
        b"HTTP/1.1 200 OK\nA: 1\r\r\n\r\n",
        "are no HTTP",
    ),
    "first header is folded": (HEAD + b" A: 1\r\n\r\n", "are no HTTP"),
    "length folded to another": (
        HEAD + b"Content-Length: 1\r\n 0\r\n\r\n",
        "Content-Length",
    ),
    "list of two lengths": (HEAD + b"Content-Length: 2, 3\r\n\r\nhi", "Content-Length"),
    "RTSP behind line ends": (
        b"\r\n" * 20 + b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "look like RTSP",
    ),
    "RTSP behind an interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nRTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "look like RTSP",
    ),
    "RTSP behind an odd interim": (
        b"HTTP/1.1 100 Continue\n\nRTSP/1.0 200 OK\nContent-Length: 2\n\nhi",
        "look like RTSP",
    ),
    "two lengths": (
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        "Duplicate Content-Length",
    ),
    "bad length": (HEAD + b"Content-Length: +2\r\n\r\nhi", "Content-Length"),
    "bad chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", "chunk size"),
    "header with a NUL": (HEAD + b"A: \x00\r\n\r\n", "are no HTTP"),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "another protocol",
    ),
    "brotli": (coded("br", b"hi"), "was not asked for: 'br'"),
    "gzip twice": (coded("gzip, gzip", b"hi"), "was not asked for: 'gzip, gzip'"),
    "no gzip": (coded("gzip", b"hi"), "not compressed as it says"),
    "rubbish after gzip": (coded("gzip", gzip.compress(b"hi") + b"hi"), "as it says"),
}

BROKEN = {
    "nothing": (b"", "without an answer"),
    "half a head": (HEAD + b"Content-Le", "in the middle of its answer"),
    "interim answer": (b"HTTP/1.1 102 Wait\r\n\r\n", "in the middle of its answer"),
    "half an interim answer": (b"HTTP/1.1 102 Wait\r\n", "in the middle of its answer"),
    "half an odd head": (b"HTTP/1.1 200 OK\nA: 1\n", "in the middle of its answer"),
    "line ends alone": (b"HTTP/1.1 200 OK\n A: 1\n", "in the middle of its answer"),
    "half a body": (HEAD + b"Content-Length: 9\r\n\r\nhi", "in the middle of its answer"),
    "half the chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "in the middle of its answer",
    ),
}


def read(*pieces: bytes, closes: bool = False, limits: Limits = DEFAULT) -> ResponseReader:
    """Return a reader that received *pieces*, in this order."""
    reader = ResponseReader(limits)
    for piece in pieces:
        if piece and not reader.is_complete:
            reader.feed(piece)
    if closes:
        reader.finish()
    return reader


def response(
    *pieces: bytes, closes: bool = False, limits: Limits = DEFAULT
) -> HttpResponse:
    """Return the complete response in *pieces*, its body decoded piece by piece."""
    reader, decoder, body = ResponseReader(limits), None, b""
    for piece in pieces:
        if piece and not reader.is_complete:
            reader.feed(piece)
        if reader.has_head:
            decoder = decoder or decoder_of(reader, limits)
            body += b"".join(steps(decoder, reader.take()))
    if closes:
        reader.finish()
    if decoder is not None and reader.is_complete:
        decoder.finish()
    return HttpResponse(reader.status, read_headers(reader.headers), body)


def decoder_of(reader: ResponseReader, limits: Limits) -> BodyDecoder:
    """Return the decoder for the body of the response that *reader* reads."""
    coding = read_headers(reader.headers).get("content-encoding", "")
    return BodyDecoder(coding, limit=limits.body_bytes)


def steps(decoder: BodyDecoder, data: bytes) -> list[bytes]:
    """Return what each step of decoding *data* makes."""
    made = [decoder.decode(data)]
    while decoder.has_more:
        made.append(decoder.decode())
    return made


def decoded(reader: ResponseReader) -> HttpResponse:
    """Return the response that *reader* has read, its body decoded."""
    body = decoder_of(reader, DEFAULT).decode(reader.take())
    return HttpResponse(reader.status, read_headers(reader.headers), body)


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_read(name: str) -> None:
    """Each way to end a body, and whether the connection survives it."""
    data, closes, body, reusable = ANSWERS[name]
    reader = read(data, closes=closes)
    assert reader.is_complete
    assert decoded(reader).body == body
    assert reader.is_reusable is reusable


@pytest.mark.parametrize("name", ODD)
def test_odd_head_is_read(name: str) -> None:
    """It is read as RFC 9112 says, and its connection carries no other request."""
    data, body, n_headers = ODD[name]
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        reader = read(*pieces)
        assert reader.is_complete
        assert not reader.is_reusable
        assert decoded(reader).body == body
        assert len(reader.headers) == n_headers


PARTS = [
    *(
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\t",
        b"A: 1",
        b":",
        b"\x00",
        b"2",
        b"hi",
        b"0\r\n\r\n",
    ),
    *(b"HTTP/1.1 100 Go", b"HTTP/1.1 200 OK", b"HTTP/1.0 204 No", b"RTSP/1.0 200 OK"),
    *(b"Content-Length: 2", b"content-length:2, 2", b"Transfer-Encoding: chunked"),
]


@given(
    parts=st.lists(st.sampled_from(PARTS)), first=st.sampled_from([HEAD, b"", HEAD[:-1]])
)
@example(parts=[b"\r", b"Content-Length: 2", b"\n", b"\n", b"hi"], first=HEAD)
def test_any_head_is_read_or_refused(parts: list[bytes], first: bytes) -> None:
    """No bytes raise anything else, and cuts make no difference."""
    data = first + b"".join(parts)

    def outcome(*pieces: bytes) -> tuple[bool, object, bytes] | None:
        try:
            reader = read(*pieces)
        except ProtocolError:
            return None
        if not reader.has_head:  # Some of it is refused only where its end comes.
            return None
        return reader.is_complete, reader.headers, reader.take()

    whole = outcome(data)
    assert outcome(*(data[n : n + 1] for n in range(len(data)))) == whole


def test_proper_head_after_an_odd_one() -> None:
    """Nothing of the odd one is left."""
    reader = read(ODD["equal lengths"][0])
    reader.begin()
    reader.feed(ANSWERS["length"][0])
    assert reader.is_reusable


@given(name=st.sampled_from(sorted(ANSWERS)), cuts=st.lists(st.integers(0, 300)))
@example(name="interim", cuts=list(range(300)))
@example(name="bare deflate", cuts=list(range(300)))
def test_cuts_do_not_matter(name: str, cuts: list[int]) -> None:
    """However the network cuts an answer, it is the same."""
    data, closes, body, _ = ANSWERS[name]
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in pairwise(ends)]
    whole = response(data, closes=closes)
    assert response(*pieces, closes=closes) == whole
    assert whole.body == body


@pytest.mark.parametrize("name", FAILURES)
def test_wrong_answer_is_refused(name: str) -> None:
    """A response that is no proper HTTP is refused, not guessed at."""
    data, message = FAILURES[name]
    with pytest.raises(ProtocolError, match=message) as caught:
        response(data)
    assert caught.value.is_permanent is (name not in {"no gzip", "rubbish after gzip"})


@pytest.mark.parametrize("name", BROKEN)
def test_answer_that_breaks_off_is_no_answer(name: str) -> None:
    """A closed connection ends only a body without a length."""
    data, message = BROKEN[name]
    with pytest.raises(ProtocolError, match=message):
        read(data, closes=True)


@pytest.mark.parametrize("size", [5, 20])
@pytest.mark.parametrize(
    "body", [gzip.compress(b"hi" * 9), zlib.compress(b"hi" * 9)], ids=["gzip", "deflate"]
)
def test_compressed_body_that_breaks_off_is_no_body(body: bytes, size: int) -> None:
    """Its length may be right even if its end is missing."""
    coding = "gzip" if body[:2] == b"\x1f\x8b" else "deflate"
    with pytest.raises(ProtocolError, match="the compressed body broke off"):
        response(coded(coding, body[: min(size, len(body) - 1)]))


def test_one_byte_of_deflate_is_no_body() -> None:
    """A body of one byte is too short to detect its format."""
    with pytest.raises(ProtocolError, match="the compressed body broke off"):
        response(coded("deflate", b"x"))


def test_next_answer_starts_afresh() -> None:
    """Nothing of one answer gets into the next."""
    reader = read(HEAD + b"X-A: 1\r\nContent-Length: 2\r\n\r\nhi")
    reader.begin()
    assert not reader.has_started
    assert not reader.is_complete
    reader.feed(b"HTTP/1.1 500 No\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nho")
    answer = decoded(reader)
    assert (answer.status, answer.body) == (500, b"ho")
    assert answer.headers == {"x-b": "2", "content-length": "2"}


LARGE = {
    "blanks": b" " * 5_000_000,
    "period beyond a step": bytes(range(251)) * 20_000,
    "exactly one step": b" " * 1_048_576,
    "nearly one step": b" " * 1_048_575,
}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("name", LARGE)
def test_body_is_decompressed_in_steps(name: str, coding: str) -> None:
    """No step makes more than a MiB, and together they make the body."""
    body = LARGE[name]
    decoder = BodyDecoder(coding, limit=len(body))
    made = steps(decoder, (gzip if coding == "gzip" else zlib).compress(body))
    decoder.finish()
    assert b"".join(made) == body
    assert max(map(len, made)) <= 1_048_576


def test_many_members_are_many_steps() -> None:
    """Empty ones make nothing, but take time."""
    decoder = BodyDecoder("gzip", limit=200_000)
    made = steps(decoder, gzip.compress(b"") * 5000 + gzip.compress(b"hi"))
    decoder.finish()
    assert len(made) == 3
    assert b"".join(made) == b"hi"


def test_header_that_comes_twice_is_joined() -> None:
    """Their values are joined by commas (RFC 9110, 5.3)."""
    answer = response(HEAD + b"A: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers["a"] == "1, 2"


def test_trailers_are_no_headers() -> None:
    """Trailers behind the body cannot change the headers before it."""
    data, *_ = ANSWERS["trailers"]
    assert "x-t" not in response(data).headers


ENDLESS = {
    "one header": [HEAD, b"A: "] + [b"a" * 50] * 20,
    "headers": [HEAD] + [b"A: aaaaaaaaaaaaaaaa\r\n"] * 20,
    "short headers": [HEAD] + [b"A:\r\n"] * 20,
    "reason": [b"HTTP/1.1 200 "] + [b"a" * 50] * 20,
    "interim answers": [b"HTTP/1.1 100 Continue\r\n\r\n"] * 20,
    "chunk extension": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n2;"] + [b"a" * 50] * 20,
    "trailer": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: "] + [b"a" * 50] * 20,
    "trailers": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n0\r\n"] + [b"A:\r\n"] * 20,
    "odd headers": [b"HTTP/1.1 200 OK\n"] + [b"A: aaaaaaaaaaaaaaaa\n"] * 20,
    "odd head at once": [b"HTTP/1.1 200 OK\n" + b"A: aaaaaaaaaaaaaaaa\n" * 20 + b"\n"],
    "odd interim answers": [b"HTTP/1.1 100 Continue\n\n"] * 20,
    "line ends": [b"HTTP/1.1 100 Continue\n\n"] + [b"\n"] * 400,
    "length": [HEAD, b"Content-Length: 99999\r\n\r\n"] + [b"a" * 100] * 20,
    "chunks": [HEAD, b"Transfer-Encoding: chunked\r\n\r\n"] + [b"1\r\na\r\n"] * 2000,
    "until close": [HEAD, b"\r\n"] + [b"a" * 100] * 20,
    "bomb": [coded("gzip", gzip.compress(b"a" * 10_000_000)[:900])],
    "bomb of two": [coded("gzip", gzip.compress(b"a" * 600) * 2)],
}


@pytest.mark.parametrize("name", ENDLESS)
def test_server_without_an_end_meets_a_limit(name: str) -> None:
    """A hostile server costs no more than the limits say."""
    with pytest.raises(ResponseTooLargeError) as caught:
        response(*ENDLESS[name], limits=SMALL)
    assert caught.value.limit in {200, 5, 1000}
    assert f"larger than {caught.value.limit}" in str(caught.value)


def test_large_head_that_comes_at_once_meets_a_limit() -> None:
    """Whether it is complete or not."""
    with pytest.raises(ResponseTooLargeError, match="head is larger than 200"):
        response(HEAD + b"A: %b\r\n\r\n" % (b"a" * 200), limits=SMALL)


def test_answer_at_its_limits_is_read() -> None:
    """A response that is exactly at the limit is accepted."""
    head = HEAD + b"Content-Length: 1000\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n"
    assert len(response(head, b"a" * 1000, limits=SMALL).body) == 1000


@pytest.mark.parametrize("version", [b"RTSP/1.0", b"ICE/1.0", b"HTTP/0.9", b"HTTP/2.0"])
def test_other_protocols_are_refused(version: bytes) -> None:
    """The parser takes some of them for HTTP, however they are cut."""
    data = version + b" 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        with pytest.raises(ProtocolError, match="do not begin with HTTP/1") as caught:
            response(*pieces)
        assert caught.value.is_permanent


GREETINGS = {
    b"\x15\x03\x03\x00\x02\x02\x46": "a TLS alert",
    b"SSH-2.0-OpenSSH_9.6\r\n": "SSH",
    b"\r\nssh-2.0": "SSH",
    b"220 mail.example.com ESMTP\r\n": "SMTP or FTP",
    b"+OK POP3 ready\r\n": "POP3",
    b"* OK [CAPABILITY IMAP4rev1]\r\n": "IMAP",
    b"-ERR unknown command\r\n": "Redis, or POP3",
    b"RTSP/1.0 200 OK\r\n": "RTSP",
    b"HTTP/2 200 OK\r\n": "HTTP/2",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03": "HTTP/2, as gRPC does",
    b"J\x00\x00\x00\x0a5.7.1": "MySQL",
    b"<!DOCTYPE html>": "a page without a head",
    b'{"choices": []}': "JSON without a head",
    b"POST /v1/chat/completions HTTP/1.1\r\n": "the request, sent back",
}


@pytest.mark.parametrize("start", GREETINGS, ids=GREETINGS.values())
def test_error_says_what_answered(start: bytes) -> None:
    """Whoever has the wrong port learns what is there, and asks it once."""
    with pytest.raises(ProtocolError) as caught:
        response(start)
    assert f"HTTP/1.1, and look like {GREETINGS[start]}" in str(caught.value)
    assert caught.value.is_permanent


def test_unknown_greeting() -> None:
    """It is refused without a guess, and without quoting what may be a secret."""
    with pytest.raises(ProtocolError, match=r"with HTTP/1.0 or HTTP/1.1$"):
        response(b"hunter22")


def test_drip_is_no_flood() -> None:
    """An answer within the limits may arrive a byte at a time."""
    data = HEAD + b"Content-Length: 900\r\n\r\n" + b"a" * 900
    pieces = [data[n : n + 1] for n in range(len(data))]
    assert len(response(*pieces, limits=SMALL).body) == 900
