"""What the user asked for, typed; import from the file that defines a name, or from `rails.llm.config`."""

# SPDX-License-Identifier: Apache-2.0
