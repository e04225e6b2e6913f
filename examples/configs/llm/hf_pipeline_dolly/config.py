"""Loads Dolly into a `transformers` pipeline and registers it as the engine `hf_pipeline_dolly`."""

# SPDX-License-Identifier: Apache-2.0

from nemoguardrails.llm.helpers import get_llm_instance_wrapper
from nemoguardrails.llm.providers import register_llm_provider
from nemoguardrails.llm.providers.huggingface import AsyncTextIteratorStreamer, HuggingFacePipelineCompatible

MODEL = "databricks/dolly-v2-3b"


def init(app: object) -> None:
    """Called by `LLMRails` before it makes its models."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(MODEL, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(MODEL)
    streamer = AsyncTextIteratorStreamer(tokenizer, skip_prompt=True)
    params = {"temperature": 0.01, "max_new_tokens": 100, "streamer": streamer}
    pipe = pipeline(model=model, task="text-generation", tokenizer=tokenizer, **params)
    llm = HuggingFacePipelineCompatible(pipeline=pipe, model_kwargs=params)
    wrapped = get_llm_instance_wrapper(llm_instance=llm, llm_type="hf_pipeline_dolly")
    register_llm_provider("hf_pipeline_dolly", wrapped)
