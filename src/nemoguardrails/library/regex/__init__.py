"""Input, output and retrieved chunks against patterns of the configuration."""

# SPDX-License-Identifier: Apache-2.0
