"""`python -m nemoguardrails`: the command line."""

# SPDX-License-Identifier: Apache-2.0

from .cli.main import main

main(prog_name="nemoguardrails")
