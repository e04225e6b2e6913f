"""Connections to models' servers: one pool per event loop, closed with the loop or with its last user."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import AsyncGenerator

import aiohttp

_MAX_CONNECTIONS = 1000

_pools: dict[tuple[asyncio.AbstractEventLoop, bool], _Pool] = {}


async def session_for(user: object, *, trust_env: bool) -> aiohttp.ClientSession:
    """The session of the running loop, opened if need be; `user` keeps it open until `release`.

    A session holds no cookies, keys or headers, so all clients of a loop share it. It closes itself
    when the loop shuts down its asynchronous generators, as `asyncio.run` does; nobody has to.

    Args:
        trust_env: proxies and netrc of the environment are used.
    """
    key = (asyncio.get_running_loop(), trust_env)
    pool = _pools.get(key)
    if pool is None or pool.session.closed:
        _forget_closed_loops()
        pool = _pools[key] = _Pool(trust_env)
        await pool.open(key)
    pool.users.add(user)
    return pool.session


async def release(user: object) -> None:
    """Ends a client's use of the running loop's connections; with the last one they are closed."""
    loop = asyncio.get_running_loop()
    for trust_env in (False, True):
        pool = _pools.get((loop, trust_env))
        if pool is not None and user in pool.users:
            pool.users.discard(user)
            if not pool.users:
                await pool.close()


async def close_all() -> None:
    """Closes every connection of the running loop; the next request opens new ones."""
    loop = asyncio.get_running_loop()
    for trust_env in (False, True):
        if pool := _pools.get((loop, trust_env)):
            await pool.close()


class _Pool:
    """A session, and the clients that use it."""

    def __init__(self, trust_env: bool) -> None:
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        self.session = aiohttp.ClientSession(
            connector=_QuietConnector(limit=_MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            trust_env=trust_env,
        )

    async def open(self, key: tuple[asyncio.AbstractEventLoop, bool]) -> None:
        """Ties the session to the end of the loop."""
        self._guard = self._until_closed(key)
        await anext(self._guard)

    async def close(self) -> None:
        """Closes the session. May be called twice."""
        await self._guard.aclose()

    async def _until_closed(self, key: tuple[asyncio.AbstractEventLoop, bool]) -> AsyncGenerator[None, None]:
        """A loop closes the generators that were begun on it: that is the only sign of its end."""
        try:
            yield
        finally:
            if _pools.get(key) is self:
                del _pools[key]
            await self.session.close()


class _QuietConnector(aiohttp.TCPConnector):
    """A connector that, left open by a loop that died, leaves its sockets to the collector without a word."""

    def __del__(self, _warnings: object = None) -> None:
        return


def _forget_closed_loops() -> None:
    for key in [key for key in _pools if key[0].is_closed()]:
        _pools.pop(key).session.detach()


@atexit.register
def _forget_all() -> None:
    """An interpreter that ends needs no complaint about connections that end with it."""
    while _pools:
        _pools.popitem()[1].session.detach()
