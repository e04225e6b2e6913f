"""The place where users' actions find the call to a model."""

# SPDX-License-Identifier: Apache-2.0
