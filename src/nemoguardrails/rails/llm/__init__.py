"""The public paths of the configuration, the options and the engine; each is a file here."""

# SPDX-License-Identifier: Apache-2.0
