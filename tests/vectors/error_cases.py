"""Answers other than 200, and the kind of failure each one is."""

from node_half import compact


def errors() -> list[dict]:
    def body(code: str, message: str) -> str:
        return compact({"error": {"code": code, "message": message}})

    wrapped = "Inference service returned status code error "
    internal = "INTERNAL_ERROR"
    table = [
        ("authentication", 401, "AUTH_ERROR", "Authentication failed"),
        ("balance", 402, "BALANCE_ERROR", "Insufficient balance"),
        ("stack locked", 423, "LOCKED", "Locked"),
        ("stack unavailable", 425, "UNAVAILABLE_STACK", "Stack unavailable"),
        ("rate limit", 429, "TOO_MANY_REQUESTS", "Too many requests"),
        ("node failure", 500, internal, wrapped + "500 Internal Server Error"),
        ("node unavailable", 503, "SERVICE_UNAVAILABLE", "Service unavailable"),
        ("invalid request", 400, "REQUEST_ERROR", "Request error: no such field"),
        ("balance", 400, "FIAT_PAYMENTS_ONLY", "Only fiat payments are supported"),
        ("not found", 404, "NOT_FOUND", "Resource not found"),
        ("invalid request", 500, internal, "Bad Request"),
        ("node failure", 500, internal, wrapped + "503 Service Unavailable"),
        ("node failure", 500, internal, "Failed to connect to the node"),
        ("node failure", 500, internal, "Invalid response from inference service"),
        ("node key missing", 500, internal, "Node public key not found"),
        ("server", 500, internal, "Internal server error occurred"),
        ("server", 501, "NOT_IMPLEMENTED", "Not implemented"),
        (
            "concurrent purchase",
            400,
            "REQUEST_ERROR",
            "Request error: Unsupported endpoint: /v1/nodes/lock",
        ),
        (
            "context length",
            400,
            "REQUEST_ERROR",
            "This model's maximum context length is 4096 tokens",
        ),
    ]
    plain = [
        (
            "invalid request",
            415,
            "Expected request with `Content-Type: application/json`",
        ),
        ("invalid request", 422, "Failed to deserialize the JSON body into the target"),
        ("payload too large", 413, "length limit exceeded"),
        ("not found", 404, ""),
        ("not found", 405, ""),
        ("permission denied", 403, "<html>Forbidden</html>"),
        ("server", 502, "<html>Bad Gateway</html>"),
    ]
    cases = [(*row[:2], body(*row[2:]), row[2]) for row in table]
    cases += [(*row, "") for row in plain]
    return [
        {"name": f"{status} {expect}", "expect": expect, "status": status}
        | {"code": code, "purchased": False, "body": text}
        for expect, status, text, code in cases
    ] + [
        {"name": "500 after a purchase", "expect": "stack not indexed", "status": 500}
        | {"code": internal, "purchased": True, "body": body(internal, "Bad Request")}
    ]
