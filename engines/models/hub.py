"""Downloads a file from the Hugging Face Hub by byte ranges."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from engines.errors import UnknownModelError
from engines.models.downloads import PartialFile, PullFailedError, WrongFileError

if TYPE_CHECKING:
    import aiohttp

HUB = "https://huggingface.co"
ANSWER_S = 5.0
"""A source that has not answered by then is skipped."""
SILENCE_S = 30.0
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a Hub repository. Uses ``HF_ENDPOINT`` and ``HF_TOKEN``, as other clients do."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{_endpoint()}/{self.repo}"

    @asynccontextmanager
    async def opened(self, size: int, sha256: str) -> AsyncGenerator["RemoteFile"]:
        """Requests the file's size and sha256 from the Hub, and checks them against known values.

        Raises:
            UnknownModelError: no such repository, revision or file.
            PullFailedError: the Hub does not answer in time, or the file does not match.
        """
        import aiohttp

        url = f"{_endpoint()}/{self.repo}/resolve/{self.revision}/{self.file}"
        token = os.environ.get("HF_TOKEN")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S, sock_read=SILENCE_S)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(trust_env=True, timeout=timeout, headers=headers) as session:
            try:
                with anyio.fail_after(ANSWER_S):
                    size, sha256 = await self._verified(session, url, size, sha256)
            except TimeoutError as error:
                raise PullFailedError(f"{self} did not answer within {ANSWER_S:.0f} s", hint=CHECK) from error
            except aiohttp.ClientError as error:
                raise PullFailedError(f"{self} does not answer: {error}", hint=CHECK) from error
            yield RemoteFile(size, sha256, session, url)

    async def _verified(
        self, session: "aiohttp.ClientSession", url: str, size: int, sha256: str
    ) -> tuple[int, str]:
        """Returns size and sha256; refuses a file that does not match before it is downloaded."""
        async with session.head(url, allow_redirects=False) as response:
            if response.status == 404:
                raise UnknownModelError(
                    f"no {self.file} in {self.repo}@{self.revision}", hint="check the name"
                )
            if response.status in (401, 403):
                raise PullFailedError(
                    f"{self.repo} is not public", hint="accept its licence on the Hub and set HF_TOKEN"
                )
            response.raise_for_status()
            stated = response.headers.get("X-Linked-ETag", "").strip('"')
            length = response.headers.get("X-Linked-Size", "")
        if not (re.fullmatch("[0-9a-f]{64}", stated) and length.isdigit()):
            raise PullFailedError(
                f"{url} does not state its sha256 ({response.content_type})",
                hint="it may be the page of a proxy or a log-in, or a file that is not stored in LFS or Xet",
            )
        if (size or int(length), sha256 or stated) != (int(length), stated):
            raise PullFailedError(
                f"{self.file} in {self.repo}@{self.revision} is not the file this version expects",
                hint=f"if you trust it, pull it by its full name: hf:{self.repo}/{self.file}",
            )
        return int(length), stated


CHECK = "check the network, and HTTPS_PROXY if you are behind a proxy"


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or HUB


@dataclass(frozen=True, slots=True)
class RemoteFile:
    size: int
    sha256: str
    session: "aiohttp.ClientSession"
    url: str

    async def read(self, file: PartialFile, start: int, stop: int) -> None:
        """Writes the bytes from ``start`` to ``stop``; reconnects when the connection breaks.

        Raises:
            PullFailedError: the connection broke without progress.
            WrongFileError: the answer is not the requested range of the file.
        """
        import aiohttp

        at = start
        while at < stop:
            before = at
            try:
                async with self.session.get(
                    self.url, headers={"Range": f"bytes={at}-{stop - 1}"}
                ) as response:
                    response.raise_for_status()
                    if response.headers.get("Content-Range") != f"bytes {at}-{stop - 1}/{self.size}":
                        raise WrongFileError(
                            f"{self.url} answered {response.status} {response.content_type} to a request for "
                            f"bytes {at} to {stop - 1}",
                            hint="a proxy or a log-in page may have answered instead of the server",
                        )
                    async for chunk in response.content.iter_chunked(CHUNK):
                        await file.write(at, chunk)
                        at += len(chunk)
                        await file.arrived(start, at - start, f"downloading {self.url.rpartition('/')[2]}")
            except (aiohttp.ClientError, TimeoutError) as error:
                if at == before:
                    raise PullFailedError(
                        f"downloading {self.url} stopped: {error or type(error).__name__}",
                        hint="run the same command again: it continues where it stopped",
                    ) from error
