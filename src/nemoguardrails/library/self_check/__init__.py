"""Rails that ask a model to judge input, output and facts by the user's own policy."""

# SPDX-License-Identifier: Apache-2.0
