"""The user's message, judged by a model."""

# SPDX-License-Identifier: Apache-2.0
