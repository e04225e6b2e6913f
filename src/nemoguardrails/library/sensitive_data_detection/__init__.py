"""Personal and secret data, found by pattern and checksum: detected or masked."""

# SPDX-License-Identifier: Apache-2.0
