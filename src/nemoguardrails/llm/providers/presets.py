"""The engines that the built-in client knows by name: their address, key variable and peculiarities."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass

AZURE_ENGINES = frozenset({"azure", "azure_openai"})


@dataclass(frozen=True, slots=True)
class Preset:
    """An engine that speaks OpenAI's protocol.

    Args:
        base_url: its address; `None` where the configuration has to give one.
        key_variable: the environment variable that holds its key, unless the configuration names another.
        about: what the engine is, for messages.
    """

    base_url: str | None
    key_variable: str | None = None
    about: str = ""


def _hosted(base_url: str, key_variable: str) -> Preset:
    return Preset(base_url, key_variable)


def _own_server(about: str) -> Preset:
    return Preset(None, about=about)


PRESETS: dict[str, Preset] = {
    "openai": Preset("https://api.openai.com/v1", "OPENAI_API_KEY", about="OpenAI, or any compatible server"),
    "nim": Preset("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    "nvidia_ai_endpoints": Preset("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    "ollama": Preset("http://localhost:11434/v1"),
    "deepseek": _hosted("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "groq": _hosted("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "together": _hosted("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": _hosted("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "openrouter": _hosted("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "mistralai": _hosted("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "xai": _hosted("https://api.x.ai/v1", "XAI_API_KEY"),
    "perplexity": _hosted("https://api.perplexity.ai", "PPLX_API_KEY"),
    "vllm": _own_server("a vLLM server"),
    "vllm_openai": _own_server("a vLLM server"),
    "llamacpp": _own_server("a llama.cpp server"),
    "tgi": _own_server("a Text Generation Inference server"),
    "sglang": _own_server("an SGLang server"),
    "trt_llm": _own_server("a TensorRT-LLM server"),
}
"""Engine name -> preset. Azure and the scripted engines are built apart (`builtin.py`)."""

LANGCHAIN_ENGINES = frozenset(
    {
        "ai21",
        "aleph_alpha",
        "amazon_bedrock",
        "anthropic",
        "bedrock",
        "bedrock_converse",
        "cohere",
        "google_anthropic_vertex",
        "google_genai",
        "google_vertexai",
        "huggingface",
        "huggingface_endpoint",
        "huggingface_hub",
        "huggingface_pipeline",
        "langchain",
        "replicate",
        "sagemaker_endpoint",
        "vertexai",
        "watsonx",
        "writer",
    }
)
"""Names of engines that speak a protocol of their own and were reached through LangChain."""
