"""One exchange: httpx's exceptions become limin's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

import limin

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError("refused"), limin.ConnectError),
        (httpx.ConnectTimeout("slow"), limin.ConnectError),
        (httpx.ProxyError("no"), limin.ConnectError),
        (httpx.ReadTimeout("slow"), limin.RequestTimeoutError),
        (httpx.RemoteProtocolError("half"), limin.ProtocolError),
        (httpx.DecodingError("bad gzip"), limin.ProtocolError),
        (httpx.ReadError("reset"), limin.TransportError),
        (httpx.WriteError(""), limin.TransportError),
    ],
)
async def test_exceptions_of_httpx_become_ours(
    raised: httpx.HTTPError, expected: type[limin.LiminError], httpx_mock: HTTPXMock
) -> None:
    """No user of limin needs to know httpx's tree; its words are kept."""
    httpx_mock.add_exception(raised)
    async with limin.Client("http://model.test/v1") as client:
        with pytest.raises(limin.TransportError) as caught:
            await client.generate_text_completion("hello")
    assert type(caught.value) is expected
    assert str(caught.value).endswith(str(raised) or "WriteError")
    assert caught.value.__cause__ is raised
