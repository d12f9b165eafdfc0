"""What is worth putting into answers, messages, replies and evidence."""

ANSWER = (
    *("id", "model", "choices", "index", "message", "delta", "role", "content", "text"),
    *("finish_reason", "stop", "length", "tool_calls", "content_filter", "refusal"),
    *("function", "name", "arguments", "function_call", "reasoning_content", "type"),
    *("reasoning", "logprobs", "token", "logprob", "bytes", "top_logprobs", "usage"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"),
    *("completion_tokens_details", "cached_tokens", "reasoning_tokens", "error"),
    *("stop_reason", "created", "system_fingerprint"),
)
BLOCK = (
    *("text", "image", "image_url", "audio", "file", "video", "url", "base64", "data"),
    *("mime_type", "source_type", "extras", "tool_use", "tool_result", "tool_use_id"),
    *("input", "content", "thinking", "reasoning", "non_standard", "value", "detail"),
    *("additional_kwargs", "tool_calls", "invalid_tool_calls", "name", "id", "args"),
    *("refusal", "function_call", "__openai_role__", "developer", "blocks", "document"),
    *("block_type", "tool_call", "tool_kwargs", "tool_name", "citable", "citation"),
    *("cited_content", "cache", "type", "role", "kind", "format", "title"),
    *("document_mimetype", "image_mimetype", "plain_text", "text-plain", "source"),
)
WIRE = (
    *("ciphertext", "nonce", "response_hash", "signature", "usage", "public_key"),
    *("node_small_id", "stack_small_id", "stack_entry_digest", "data", "id", "object"),
    *("owned_by", "created", "error", "code", "message", "embedding", "index", "model"),
)
TRUST = (
    *("jsonrpc", "result", "error", "code", "data", "content", "fields", "objectId"),
    *("type", "dataType", "moveObject", "parsedJson", "hasNextPage", "nextCursor"),
    *("node_id", "inner", "new_public_key", "evidence_bytes", "device_type", "nonce"),
    *("key_rotation_counter", "compressed_evidence", "attestation", "node_small_id"),
    *("evidence_type", "certificate", "evidence", "device", "nvswitch", "keys", "kty"),
    *("crv", "kid", "x", "y", "EC", "P-384", "alg", "crit", "iss", "nbf", "exp"),
    *("eat_nonce", "submods", "measres", "secboot", "dbgstat", "ueid", "version"),
    *("nodes", "node", "key", "chips", "signer", "refused", "value", "since", "at"),
    *("digest", "signature", "address", "scheme", "issued_at", "model"),
)
