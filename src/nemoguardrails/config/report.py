"""What the loader had to say about a configuration, as a list of entries."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["info", "warning"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One remark of the loader.

    Attributes:
        severity: "warning" where protection or a setting may be lost, else "info".
        code: a short name of the kind of remark, such as "unknown-key" or "conflict".
        message: what happened and what to do, without the place.
        file: the file it is about, as shown in errors; `None` where there is none.
        key: the dotted key it is about.
    """

    severity: Severity
    code: str
    message: str
    file: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, self.key) if part)
        return f"{self.severity}: {f'{place}: ' if place else ''}{self.message} [{self.code}]"


class LoadReport(list[ReportEntry]):
    """The entries in the order in which they were found."""

    def warn(self, code: str, message: str, *, file: str | None = None, key: str | None = None) -> None:
        """Adds a warning."""
        self.append(ReportEntry("warning", code, message, file, key))

    def inform(self, code: str, message: str, *, file: str | None = None, key: str | None = None) -> None:
        """Adds an entry of interest."""
        self.append(ReportEntry("info", code, message, file, key))

    def log(self) -> None:
        """Writes every entry to the log, once: warnings as such, the rest at debug level."""
        for entry in self:
            _log.log(logging.WARNING if entry.severity == "warning" else logging.DEBUG, "%s", entry)
