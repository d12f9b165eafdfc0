"""Complaints about other providers that ours must not earn, and where each is tested.

Numbers are issues of run-llama/llama_index. Below them, what its own providers are
tested for.
"""

import re
from pathlib import Path

import pytest

TESTED = {
    "embeddings": {
        9180: "test_empty_texts_are_told_by_their_place",
        17071: "test_retries_are_the_cores_alone",
    },
    "embedding_batches": {14345: "test_concurrency_is_bounded"},
    "embedding_cache": {23181: "test_the_cache_keeps_queries_and_texts_apart"},
    "chat": {
        8053: "test_metadata_is_pure",
        9553: "test_metadata_of_a_known_model_and_of_one_that_is_told",
        11989: "test_a_refused_key_is_not_tried_again",
        13494: "test_the_system_prompt_is_added_by_predict_and_not_by_chat",
        13826: "test_retries_are_the_cores_alone",
        17450: "test_metadata_of_a_known_model_and_of_one_that_is_told",
        18463: "test_metadata_is_pure",
        19740: "test_usage_stands_in_three_places",
        22751: "test_what_is_set_and_what_is_passed",
    },
    "chat_events": {
        12214: "test_tokens_are_counted_once_and_not_guessed",
        16721: "test_tokens_are_counted_once_and_not_guessed",
        22949: "test_the_payload_of_events_names_the_model_and_no_address",
    },
    "streams": {
        19124: "test_thoughts_from_the_first_chunk_on",
        21220: "test_thoughts_from_the_first_chunk_on",
        21232: "test_an_answer_of_thoughts_only_is_not_empty",
        21337: "test_an_answer_of_thoughts_only_is_not_empty",
    },
    "stream_calls": {
        15083: "test_text_and_calls_in_one_turn",
        18761: "test_interleaved_calls",
        22580: "test_arguments_are_text_until_they_are_whole",
    },
    "stream_ends": {13503: "test_async_ends_hang_up"},
    "structured": {18450: "test_the_system_prompt_is_sent_in_every_form"},
    "lifecycle": {
        19578: "test_one_model_serves_several_event_loops",
        20433: "test_one_model_serves_several_event_loops",
    },
    "key": {
        12853: "test_the_key_is_shown_nowhere",
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
        8452: "test_tokens_are_counted_without_a_download",
        9343: "test_a_pipeline_with_workers",
        17417: "test_everything_left_at_its_default_stays_here",
    },
    "rag_pipelines": {
        14572: "test_cache_docstore_and_workers",
        17125: "test_cache_docstore_and_workers",
    },
    "broken": {17927: "test_fields_that_are_null_in_each_fragment"},
    "vectors": {11696: "test_what_is_too_large_is_halved"},
    "wire": {17756: "test_no_hidden_ceiling_of_time"},
}
# What the tests of LlamaIndex's own OpenAI provider, and those of core for providers,
# ask of one. By the case: where it is tested here.
CONTRACT = {
    "the classes are what LlamaIndex looks for": {
        "chat": ["test_the_class_is_what_llama_index_looks_for"],
        "embeddings": ["test_the_class_is_what_llama_index_looks_for"],
    },
    "a tool is required, chosen by name or dict, or left to the model": {
        "tools": [
            "test_tool_choice",
            "test_without_tools_nothing_is_said_of_tools",
            "test_whether_calls_may_be_parallel_is_sent",
        ],
    },
    "messages as the wire has them": {
        "messages": [
            "test_a_message_without_blocks_is_empty_text",
            "test_an_image_file_is_read_and_detail_kept",
            "test_calls_carry_json_and_null_content",
            "test_ids_are_made_where_missing_and_used_for_the_results",
            "test_roles_and_text_stay_strings",
            "test_thoughts_are_shown_again_only_where_asked_for",
        ],
        "wire": ["test_a_functions_answer_is_a_tools"],
    },
    "arguments that are no JSON, null, or a dict": {
        "stream_calls": ["test_arguments_of_any_kind"],
        "tools": ["test_selections"],
    },
    "the last item is cumulative, and tokens are told": {
        "chat": ["test_usage_stands_in_three_places"],
        "streams": ["test_items_are_cumulative_and_deltas_are_not"],
    },
    "thoughts under both names, and none where there are none": {
        "broken": ["test_thoughts_of_a_whole_answer_under_both_names"],
        "streams": ["test_thoughts_from_the_first_chunk_on"],
    },
    "a message with pydantic in additional_kwargs is serializable": {
        "wire": ["test_a_message_that_holds_pydantic_objects_can_be_kept_and_sent"],
    },
    "structured answers are instances, under names that engines take": {
        "structured": ["test_as_structured_llm", "test_names_of_generic_classes"],
        "partials": ["test_core_streams_no_completions_of_objects"],
    },
    "an injected client carries the requests": {
        "early_ends": ["test_injected_clients_carry_streams_and_embeddings"],
        "lifecycle": ["test_an_injected_client_carries_the_requests"],
    },
    "Retry-After is heeded, has a limit, and may be nonsense": {
        "broken": [
            "test_a_wait_that_is_too_long_is_the_callers",
            "test_embeddings_wait_likewise",
            "test_how_long_to_wait_is_the_servers_to_say",
            "test_without_such_a_word_the_wait_is_short",
        ],
    },
    "what is set explicitly is sent": {"chat": ["test_what_is_set_and_what_is_passed"]},
    "a model goes through a dict and back": {
        "embeddings": ["test_model_is_another_name_for_model_name"],
        "copies": ["test_there_and_back_through_dicts_and_json"],
        "secrets": ["test_every_field_survives_but_the_secret_ones"],
    },
    "events carry no secret": {
        "chat_events": ["test_the_payload_of_events_names_the_model_and_no_address"],
        "key": ["test_the_key_is_shown_nowhere"],
    },
    "a prompt by position or name, once": {
        "chat": ["test_a_prompt_is_needed_once"],
        "wire": ["test_every_completion_wants_one_prompt"],
    },
    "predict and call, and a tool that fails": {
        "tools": [
            "test_a_tools_own_error",
            "test_predict_and_call",
            "test_predict_and_call_in_parallel",
        ],
        "wire": ["test_a_tools_own_error_in_a_loop"],
    },
    "agents and workflows": {
        "agents": [
            "test_a_context_can_be_stored_and_taken_up_again",
            "test_a_tool_that_returns_directly_and_a_further_turn",
            "test_a_workflow_of_two_agents",
            "test_one_tool",
            "test_thoughts_are_streamed_beside_the_answer",
        ],
        "streams": ["test_an_answer_of_thoughts_only_is_not_empty"],
    },
    "embeddings in batches, from a cache, in async, each announced": {
        "embedding_batches": ["test_batches_and_requests"],
        "embedding_cache": [
            "test_only_what_is_missing_is_asked_for",
            "test_the_cache_keeps_queries_and_texts_apart",
        ],
        "embedding_events": ["test_each_batch_is_one_event"],
    },
    "pipelines with a cache and with workers": {
        "rag": [
            "test_a_pipeline_with_cache_and_docstore",
            "test_a_pipeline_with_workers",
        ],
        "rag_pipelines": ["test_cache_docstore_and_workers"],
    },
}
CASES = [(part, *case) for part, cases in TESTED.items() for case in cases.items()]


@pytest.mark.parametrize(("part", "issue", "test"), CASES)
def test_the_test_of_an_issue_exists(part, issue, test):
    assert is_there(part, test), issue


@pytest.mark.parametrize("case", CONTRACT)
def test_the_tests_of_a_case_exist(case):
    for part, tests in CONTRACT[case].items():
        assert [test for test in tests if not is_there(part, test)] == []


def is_there(part, test):
    (path,) = Path(__file__).parent.rglob(f"test_llama_{part}.py")
    source = path.read_text()
    return re.search(rf"^(async )?def {test}\(", source, re.MULTILINE) is not None
