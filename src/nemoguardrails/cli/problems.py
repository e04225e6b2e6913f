"""Errors as a user of the command line sees them: one sentence and an exit code, no traceback."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..exceptions import LLMCallException, LLMClientError, masked
from .screen import harmless

INTERRUPTED = 130
"""The exit code of a program that Ctrl+C ended."""

_LONGEST = 600


@contextmanager
def problems_in_a_sentence(*, debug: bool) -> Iterator[None]:
    """What goes wrong inside ends the program with exit code 1 and one line on standard error.

    Args:
        debug: let the exception through, with its traceback.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise  # click ends quietly when nobody reads on
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except Exception as error:
        if debug:
            raise
        raise click.ClickException(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """What happened, in one line."""
    while isinstance(error, LLMCallException) and isinstance(error.inner_exception, BaseException):
        error = error.inner_exception
    if isinstance(error, LLMClientError):
        return _of_model(error)
    text = " ".join(masked(harmless(str(error))).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif not isinstance(error, ValueError | ImportError | LLMCallException | OSError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _of_model(error: LLMClientError) -> str:
    who = f"The model {error.model_name}" if error.model_name else "The model"
    provider = f" of {error.provider_name}" if error.provider_name else ""
    where = f" at {error.base_url}" if error.base_url else ""
    status = f" ({error.status_code})" if error.status_code else ""
    said = " ".join(harmless(error.error_message).split())
    return f"{who}{provider}{where} did not answer{status}: {said[:_LONGEST]}"
