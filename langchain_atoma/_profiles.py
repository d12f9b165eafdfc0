"""What is known for certain about models, keyed by their exact name.

Only keys read from a model's own card: a missing key means "not known" to frameworks,
while a wrong one breaks them (`structured_output` decides how an agent asks). Whatever
a user passes as `profile=` replaces the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoma_confidential.known_models import context_window_of

if TYPE_CHECKING:
    from langchain_core.language_models.model_profile import ModelProfile

__all__ = ["profile_of"]

_PROFILES: dict[str, ModelProfile] = {
    # Whether it calls tools is the engine's configuration, not the model's card.
    "meta-llama/Llama-3.3-70B-Instruct": {
        "name": "Llama 3.3 70B Instruct",
        "open_weights": True,
        "text_inputs": True,
        "image_inputs": False,
        "audio_inputs": False,
        "video_inputs": False,
        "text_outputs": True,
        "image_outputs": False,
        "audio_outputs": False,
        "video_outputs": False,
        "reasoning_output": False,
    },
}


def profile_of(model: str) -> ModelProfile | None:
    """Return what is known of a model; None for one that is not in the table."""
    known = _PROFILES.get(model, {}).copy()
    if (window := context_window_of(model)) is not None:
        known["max_input_tokens"] = window
    return known or None
