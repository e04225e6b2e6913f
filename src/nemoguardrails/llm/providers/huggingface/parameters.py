"""Request parameters in the words of `transformers`."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ALIASES = {"max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens"}
_CONTROLS = frozenset({"streaming", "streamer", "stop"})
_LENGTHS = ("max_new_tokens", "max_length")
_NAMES = """
max_new_tokens min_new_tokens max_length min_length max_time early_stopping do_sample num_beams
num_beam_groups penalty_alpha use_cache cache_implementation temperature top_k top_p min_p top_h typical_p
epsilon_cutoff eta_cutoff diversity_penalty repetition_penalty encoder_repetition_penalty length_penalty
no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids force_words_ids renormalize_logits
suppress_tokens begin_suppress_tokens sequence_bias guidance_scale prompt_lookup_num_tokens
pad_token_id bos_token_id eos_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
generation_config logits_processor stopping_criteria prefix_allowed_tokens_fn
return_full_text clean_up_tokenization_spaces handle_long_generation prefix truncation padding
add_special_tokens tokenizer_encode_kwargs
"""
_KNOWN = frozenset(_NAMES.split())


@dataclass(frozen=True, slots=True)
class Translation:
    """Parameters that a pipeline knows, and the names of those it doesn't."""

    known: dict[str, Any]
    unknown: frozenset[str]


def translated(given: Mapping[str, Any]) -> Translation:
    """Request parameters under the names of `transformers`; `None` values are left out."""
    known: dict[str, Any] = {}
    unknown = set[str]()
    for name, value in given.items():
        if value is None or name in _CONTROLS:
            continue
        own = _ALIASES.get(name, name)
        if own in _KNOWN:
            known[own] = value
        else:
            unknown.add(name)
    return Translation(known, frozenset(unknown))


def with_sampling(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with temperature and sampling in agreement; temperature 0 means greedy."""
    made = dict(parameters)
    temperature = made.get("temperature")
    if temperature is None:
        return made
    if temperature == 0:
        del made["temperature"]
        made["do_sample"] = False
    else:
        made.setdefault("do_sample", True)
    return made


def token_limit(sources: Iterable[Any], input_tokens: int | None) -> int | None:
    """How many tokens may be generated, by the first source that says it; `None` if none does.

    Args:
        sources: mappings or configuration objects, the most important first.
        input_tokens: length of the prompt, which `max_length` includes.
    """
    for source in sources:
        for name in _LENGTHS:
            value = _value(source, name)
            if isinstance(value, int):
                return value if name == "max_new_tokens" else max(0, value - (input_tokens or 0))
    return None


def end_tokens(sources: Iterable[Any]) -> frozenset[int]:
    """The ids of the tokens that end an answer, of all sources."""
    found = set[int]()
    for source in sources:
        value = _value(source, "eos_token_id")
        found.update(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int))
    return frozenset(found)


def _value(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
