"""The user's documents, cut into chunks and searched."""

# SPDX-License-Identifier: Apache-2.0
