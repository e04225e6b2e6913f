"""A face: the path of older releases to `get_llm_instance_wrapper`."""

# SPDX-License-Identifier: Apache-2.0

from .providers.huggingface import get_llm_instance_wrapper

__all__ = ["get_llm_instance_wrapper"]
