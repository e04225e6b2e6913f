"""Tests of the embeddings, and the model they share."""

# SPDX-License-Identifier: Apache-2.0
