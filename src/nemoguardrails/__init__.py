"""Sluice: guardrails for LLM applications, made for streams."""
