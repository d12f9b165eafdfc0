"""Changes that reach further than flipped bits: JSON stays JSON, lines stay lines.

Seeded and pure, so that libFuzzer and the replay in the suite share it.
"""

import json

ODD = (
    *(None, True, False, 0, -1, 1, 2**31, 2**64, 10**400, 0.5, -0.0, 1e308),
    *("", " ", "a", "\x00", "\ud800", "\udfff\ud800", "é👋", "\r\n", "null", "{", "}"),
    *("{}", "[]", '{"a": 1}', '{"a":', "A" * 5000, "AAAA", "AA==", "0" * 64),
    *([], {}, [[]], [{}], {"": None}, [None], [0]),
)
LITERALS = ("NaN", "-Infinity", "1e999", "9" * 5000, "[" * 3000, '{"a":' * 3000)
"""What readers of JSON disagree about, or run out of."""


def mutated(data, rng, words=()):
    """Return a changed copy of lines of JSON; of anything else, of its bytes."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    if len(lines) > 1 and rng.randrange(6) == 0:
        return b"\n".join(_rearranged(lines, at, rng))
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return faulty(data, rng)
    if rng.randrange(12) == 0:
        lines[at] = faulty(lines[at], rng)
    else:
        lines[at] = _changed(value, rng, words)
    return b"\n".join(lines)


def faulty(data, rng):
    """Return a copy with a bit flipped, or a part cut out, put in or repeated."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randint(1, 16))
    match rng.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + data[at:end] + data[at:]
        case 3:
            return data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at:]
        case _:
            flipped = (
                bytes([data[at] ^ 1 << rng.randrange(8)]) if at < len(data) else b""
            )
            return data[:at] + flipped + data[at + 1 :]


def _rearranged(lines, at, rng):
    other = rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            return lines[:at] + lines[at + 1 :]
        case 1:
            return [*lines, lines[at]]
    lines[at], lines[other] = lines[other], lines[at]
    return lines


def _changed(value, rng, words):
    # Under the one key, so that the whole value can be replaced like any other.
    root = {"": value}
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if places := _places(root):
            _change(*rng.choice(places), rng, words)
    mark = "\ue000literal"
    if rng.randrange(10) == 0 and (places := _places(root)):
        parent, key = rng.choice(places)
        parent[key] = mark
    text = json.dumps(root.get(""), ensure_ascii=rng.random() < 0.5)
    quoted = json.dumps(mark), json.dumps(mark, ensure_ascii=False)
    for one in quoted:
        text = text.replace(one, rng.choice(LITERALS))
    return text.encode("utf-8", "surrogatepass")


def _places(root):
    """Return each member of each list and object, as its holder and its key."""
    found, left = [], [root]
    while left:
        holder = left.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in items:
            found.append((holder, key))
            if isinstance(value, dict | list):
                left.append(value)
    return found


def _change(holder, key, rng, words):
    value = holder[key]
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, _copy(value))
        case 1 if words:
            holder[rng.choice(words)] = _copy(value)
        case 2 if isinstance(value, str):
            at = rng.randrange(len(value) + 1)
            odd = rng.choice([*ODD[12:20], *words])
            holder[key] = value[:at] + odd + value[at + rng.randrange(3) :]
        case 2 if isinstance(value, int):
            holder[key] = value + rng.choice((-1, 1, 256, -value))
        case 3:
            holder[key] = rng.choice(([value], {rng.choice(words or ("",)): value}))
        case 4 if words:
            holder[key] = rng.choice(words)
        case 5 if isinstance(value, dict) and words:
            value[rng.choice(words)] = _copy(rng.choice(ODD))
        case 6 if isinstance(value, str):
            holder[key] = value * rng.randint(2, 3)
        case _:
            holder[key] = _copy(rng.choice(ODD))


def _copy(value):
    return json.loads(json.dumps(value))
