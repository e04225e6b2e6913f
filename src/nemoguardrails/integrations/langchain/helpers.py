"""A face: the newer path to `get_llm_instance_wrapper`."""

# SPDX-License-Identifier: Apache-2.0

from ...llm.providers.huggingface import get_llm_instance_wrapper

__all__ = ["get_llm_instance_wrapper"]
