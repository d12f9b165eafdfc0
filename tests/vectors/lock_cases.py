"""Lock exchanges: a node's key and a stack, or something else."""

from node_half import LLAMA, NODE_ID, NODE_KEY, STACK_ID, b64, compact

LEASE = {
    "public_key": b64(NODE_KEY),
    "node_small_id": NODE_ID,
    "stack_entry_digest": None,
    "stack_small_id": STACK_ID,
}
PURCHASE = "8yRCEbTcZ1YUSwKbwQfLhX7dEYzqN9xDnMvRkYwFpGdk"


def locks() -> list[dict]:
    fields = {"model": LLAMA, "max_num_tokens": 4096, "timeout": 30}
    good = {"name": "lock", "expect": "ok", "request": fields}
    good |= {"request_body": compact(fields), "response_body": compact(LEASE)}
    outcomes = {
        ("purchase", "ok"): LEASE | {"stack_entry_digest": PURCHASE},
        ("largest_ids", "ok"): LEASE
        | {"node_small_id": 2**64 - 1, "stack_small_id": 2**64 - 1},
        ("more_fields", "ok"): LEASE | {"expires_at": "soon"},
        ("purchase_breaks_header", "malformed"): LEASE
        | {"stack_entry_digest": "abc\r\nX-Evil: 1"},
        ("purchase_number", "malformed"): LEASE | {"stack_entry_digest": 7},
        ("purchase_empty", "malformed"): LEASE | {"stack_entry_digest": ""},
        ("key_urlsafe", "malformed"): LEASE
        | {"public_key": "-_" + LEASE["public_key"][2:]},
        ("key_number", "malformed"): LEASE | {"public_key": 7},
        ("key_short", "unusable key"): LEASE | {"public_key": b64(NODE_KEY[:31])},
        ("key_empty", "unusable key"): LEASE | {"public_key": ""},
        ("a_list", "malformed"): [LEASE],
        ("an_error", "malformed"): {"error": {"code": "LOCKED", "message": "Locked"}},
    }
    for member in ("public_key", "node_small_id", "stack_small_id"):
        rest = {name: value for name, value in LEASE.items() if name != member}
        outcomes[f"missing_{member}", "malformed"] = rest
    for member in ("node_small_id", "stack_small_id"):
        for what, value in {
            "negative": -1,
            "too_large": 2**64,
            "boolean": True,
            "fraction": 3.5,
            "text": "3",
            "null": None,
        }.items():
            outcomes[f"{what}_{member}", "malformed"] = LEASE | {member: value}
    return [
        good,
        *(
            {"name": name, "expect": expect, "response_body": compact(body)}
            for (name, expect), body in outcomes.items()
        ),
        {"name": "not_json", "expect": "malformed", "response_body": "<html>"},
        {"name": "empty_body", "expect": "malformed", "response_body": ""},
    ]
