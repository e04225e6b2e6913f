"""Clients of models' servers."""

# SPDX-License-Identifier: Apache-2.0
