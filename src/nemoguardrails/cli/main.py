"""The command group `nemoguardrails`; a command's room is imported when the command is called."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "bench": (".bench", "bench", "Measure what a configuration costs."),
    "chat": (".chat", "chat", "Chat with a guarded bot, here or on a server."),
}
_EXAMPLES = """\
\b
Examples:
  nemoguardrails chat --config=examples/configs/streaming --streaming
  nemoguardrails bench stream --config=examples/configs/streaming
  nemoguardrails chat --help

\b
Shell completion:
  eval "$(nemoguardrails --show-completion bash)"
"""


class _LateCommands(click.Group):
    """Knows its commands by name and one line; the rest is imported when one is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(module, __package__), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][2]) for name in self.list_commands(ctx)])


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(version("sluice-guardrails"))
        ctx.exit()


def _show_completion(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is not None:
        from click.shell_completion import get_completion_class

        name = ctx.info_name or "nemoguardrails"
        found = get_completion_class(shell)
        assert found is not None, shell
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        click.echo(found(ctx.command, {}, name, variable).source())
        ctx.exit()


@click.command(cls=_LateCommands, epilog=_EXAMPLES, context_settings={"help_option_names": ["--help", "-h"]})
@click.option(
    "--version",
    "-v",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version.",
)
@click.option(
    "--show-completion",
    type=click.Choice(["bash", "zsh", "fish"]),
    expose_value=False,
    is_eager=True,
    callback=_show_completion,
    help="Show the script that completes commands in your shell.",
)
def main() -> None:
    """Guardrails for LLM applications, made for streams."""
