"""Runs actions on an actions server."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..exceptions import ActionServerError, ConfigurationError
from .actions import ActionResult

if TYPE_CHECKING:
    from aiohttp import ClientSession

_RESULT_KEYS = {"return_value", "events", "context_updates"}


class ActionServer:
    """A client of `nemoguardrails actions-server`; connections are kept and reused.

    Args:
        url: where the server is, without `/v1`.
        token_env_var: the environment variable that holds the bearer token, if the server wants one.
        timeout_s: how long one action may take, in seconds.

    Raises:
        ConfigurationError: the environment variable is not set.
    """

    def __init__(self, url: str, *, token_env_var: str | None = None, timeout_s: float = 30) -> None:
        self._url = f"{url.rstrip('/')}/v1/actions/run"
        self._timeout_s = timeout_s
        self._headers = _credentials(token_env_var)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, ClientSession] = WeakKeyDictionary()

    async def run(self, name: str, params: Mapping[str, Any]) -> Any:
        """What the action returned on the server; an `ActionResult` where it sent one.

        Raises:
            ActionServerError: no answer in time, a status other than 200, an answer that is not the
                expected JSON, or an action that failed there.
        """
        answer = await self._asked({"action_name": name, "action_parameters": dict(params)}, name)
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ActionServerError(f"{self._about(name)} did not succeed. See the server's log.")
        result = answer.get("result")
        if isinstance(result, dict) and result.keys() == _RESULT_KEYS:
            return ActionResult(**result)
        return result

    async def aclose(self) -> None:
        """Closes the connections of the running event loop; call it before the loop ends."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def _asked(self, body: Mapping[str, Any], name: str) -> Any:
        from aiohttp import ClientError

        try:
            async with self._session().post(self._url, json=body) as response:
                if response.status != 200:
                    raise ActionServerError(f"{self._about(name)}: the server answered {response.status}.")
                return await response.json(content_type=None)
        except TimeoutError as error:
            raise ActionServerError(
                f"{self._about(name)}: no answer within {self._timeout_s:g} s."
            ) from error
        except (ClientError, ValueError, TypeError) as error:
            raise ActionServerError(f"{self._about(name)}: {type(error).__name__}: {error}") from error

    def _session(self) -> ClientSession:
        """The session of the running loop; each synchronous call brings a loop of its own."""
        from aiohttp import ClientSession, ClientTimeout

        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            timeout = ClientTimeout(total=self._timeout_s)
            self._sessions[loop] = ClientSession(headers=self._headers, timeout=timeout)
        return self._sessions[loop]

    def _about(self, name: str) -> str:
        return f"Action '{name}' on the actions server {self._url}"


def _credentials(token_env_var: str | None) -> dict[str, str]:
    if token_env_var is None:
        return {}
    token = os.environ.get(token_env_var)
    if not token:
        raise ConfigurationError(
            f"actions_server_token_env_var: the environment variable {token_env_var} is not set"
        )
    return {"Authorization": f"Bearer {token}"}
