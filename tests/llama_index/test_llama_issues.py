"""Complaints about other providers that ours must not earn, and where each is tested.

Numbers are issues of run-llama/llama_index.
"""

import re
from pathlib import Path

import pytest

TESTED = {
    "embeddings": {
        8452: "test_tokens_are_counted_once",
        9180: "test_empty_texts_are_told_by_their_place",
        11696: "test_requests_are_cut_by_bytes_as_well",
        14345: "test_concurrency_is_bounded",
        17071: "test_retries_are_the_cores_alone",
        23181: "test_the_cache_keeps_queries_and_texts_apart",
    },
    "chat": {
        8053: "test_metadata_is_pure",
        9553: "test_metadata_of_a_known_model_and_of_one_that_is_told",
        11989: "test_a_refused_key_is_not_tried_again",
        12214: "test_tokens_are_counted_once_and_not_guessed",
        13494: "test_the_system_prompt_is_added_by_predict_and_not_by_chat",
        13826: "test_retries_are_the_cores_alone",
        16721: "test_tokens_are_counted_once_and_not_guessed",
        17450: "test_metadata_of_a_known_model_and_of_one_that_is_told",
        18463: "test_metadata_is_pure",
        19740: "test_usage_stands_in_three_places",
        22751: "test_what_is_set_and_what_is_passed",
        22949: "test_the_payload_of_events_names_the_model_and_no_address",
    },
    "streams": {
        15083: "test_text_and_calls_in_one_turn",
        18761: "test_interleaved_calls",
        19124: "test_thoughts_from_the_first_chunk_on",
        21220: "test_thoughts_from_the_first_chunk_on",
        21232: "test_an_answer_of_thoughts_only_is_not_empty",
        21337: "test_an_answer_of_thoughts_only_is_not_empty",
        22580: "test_arguments_are_text_until_they_are_whole",
    },
    "structured": {18450: "test_the_system_prompt_is_sent_in_every_form"},
    "lifecycle": {
        12853: "test_the_key_is_shown_nowhere",
        13503: "test_async_ends_hang_up",
        19578: "test_one_model_serves_several_event_loops",
        20433: "test_one_model_serves_several_event_loops",
        21613: "test_the_key_is_shown_nowhere",
        21676: "test_the_key_is_shown_nowhere",
        22130: "test_the_key_is_shown_nowhere",
    },
    "agents": {
        10349: "test_memory_keeps_plain_messages",
        12394: "test_memory_keeps_plain_messages",
        12852: "test_a_context_can_be_stored_and_taken_up_again",
    },
    "rag": {
        9343: "test_a_pipeline_with_workers",
        17417: "test_everything_left_at_its_default_stays_here",
    },
    "rag_pipelines": {
        14572: "test_cache_docstore_and_workers",
        17125: "test_cache_docstore_and_workers",
    },
    "broken": {17927: "test_fields_that_are_null_in_each_fragment"},
    "wire": {17756: "test_no_hidden_ceiling_of_time"},
}
CASES = [(part, *case) for part, cases in TESTED.items() for case in cases.items()]


@pytest.mark.parametrize(("part", "issue", "test"), CASES)
def test_the_test_of_an_issue_exists(part, issue, test):
    source = Path(__file__).with_name(f"test_llama_{part}.py").read_text()
    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), issue
