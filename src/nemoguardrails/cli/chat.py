"""The command `chat`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import TYPE_CHECKING

import click

from .problems import problems_in_a_sentence

if TYPE_CHECKING:
    from .bot import Bot

_EXAMPLES = """\
\b
Examples:
  nemoguardrails chat --config=examples/configs/streaming --streaming
  nemoguardrails chat --config=my_bot --config=my_rails
  nemoguardrails chat --config=my_bot --once "When do you open?"
  printf 'Hello\\nWhat can you do?\\n' | nemoguardrails chat --config=my_bot
  nemoguardrails chat --server-url=http://localhost:8000 --config-id=my_bot --streaming

\b
Exit codes: 0 at the end of input, 1 when something could not work, 3 when --once was
blocked by a rail, 130 after Ctrl+C.
"""


@click.command(epilog=_EXAMPLES)
@click.option(
    "--config",
    "configs",
    multiple=True,
    default=["config"],
    show_default=True,
    metavar="PATH",
    help="Folder or file of a configuration. Several are joined; the last one wins.",
)
@click.option("--streaming/--no-streaming", default=False, help="Show answers token by token.")
@click.option("--once", metavar="TEXT", help="Send one message, print the answer and end.")
@click.option("--verbose/--no-verbose", default=False, help="Tell which rails and models are at work.")
@click.option("--verbose-no-llm", is_flag=True, help="The same without prompts and answers of models.")
@click.option("--verbose-simplify", is_flag=True, help="The same with one line per rail and model call.")
@click.option(
    "--debug-level",
    type=click.Choice(["WARNING", "INFO", "DEBUG"], case_sensitive=False),
    help="The same with log records from this level on.",
)
@click.option("--server-url", metavar="URL", help="Talk to a server; no configuration is loaded here.")
@click.option("--config-id", metavar="ID", help="The configuration to use on the server.")
@click.option("--model", metavar="NAME", help="The model that the server is asked for.")
@click.option("--thread-id", metavar="ID", help="The server keeps the conversation under this name.")
@click.option("--api-key-env", metavar="VARIABLE", help="Environment variable with the server's API key.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def chat(
    configs: tuple[str, ...],
    streaming: bool,
    once: str | None,
    verbose: bool,
    verbose_no_llm: bool,
    verbose_simplify: bool,
    debug_level: str | None,
    server_url: str | None,
    debug: bool,
    **server_options: str | None,
) -> None:
    """Chat with a guarded bot, here or on a server.

    Type a message and press Enter; !help lists the commands. Text that a rail takes back is crossed out.
    """
    from .chat_loop import Chat
    from .screen import Beside, Screen

    verbose = verbose or verbose_no_llm or verbose_simplify or debug_level is not None
    screen = Screen()
    told = _told(verbose_no_llm, verbose_simplify, debug_level) if verbose else nullcontext()
    with problems_in_a_sentence(debug=debug), redirect_stderr(Beside(screen)), told:
        bot = (
            _here(configs, verbose, server_options)
            if server_url is None
            else _there(server_url, server_options)
        )
        conversation = Chat(bot, screen, streaming=streaming, verbose=verbose, debug=debug)
        sys.exit(conversation.run() if once is None else conversation.once(once))


@contextmanager
def _told(no_llm: bool, simplify: bool, debug_level: str | None) -> Iterator[None]:
    """Turns are told inside, and no longer after it."""
    from ..logging.verbose import set_verbose

    debug = debug_level is not None
    level = (debug_level or "INFO").upper()
    set_verbose(True, llm_calls=not no_llm, simplify=simplify, debug=debug, debug_level=level)
    try:
        yield
    finally:
        set_verbose(False)


def _here(configs: Sequence[str], verbose: bool, server_options: Mapping[str, str | None]) -> Bot:
    from .chat_local import LocalBot

    for name, value in server_options.items():
        if value is not None:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is about a server; name it with --server-url."
            )
    return LocalBot(configs, verbose=verbose)


def _there(server_url: str, options: Mapping[str, str | None]) -> Bot:
    from .chat_server import ServerBot, ServerOptions

    variable = options["api_key_env"]
    key = os.environ.get(variable) if variable else None
    if variable and not key:
        raise ValueError(f"the environment variable {variable}, named by --api-key-env, is not set")
    return ServerBot(
        server_url, ServerOptions(options["config_id"], options["model"], options["thread_id"], key)
    )
