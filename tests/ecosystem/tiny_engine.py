"""A tiny random model, made here, behind the real llama.cpp server.

`python tiny_engine.py FOLDER` prints where it listens, and serves until its standard
input ends. No weights are downloaded: what it says has no sense, but it is said by a
real tokenizer, template, sampler and grammar.
"""

import sys
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

WORDS = (
    "the river over and blue crow meadow , . 4711 é 日本 🙂".split()  # noqa: SIM905
)
# One that JSON may hold as it is, and that Unicode takes for the end of a line.
PIECES = [f" {word}" for word in WORDS] + ["\u2028"]
END, START, STOP, CALL = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>"
CONTEXT = 4096
WIDTH, HEADS, INNER, BLOCKS = 64, 4, 128, 2

# In the manner of Qwen's, whose format of tool calls llama.cpp finds out by itself.
TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content }}
        {{- '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
        {%- for one in message.tool_calls %}
            {%- set call = one.function if one.function is defined else one %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def alphabet():
    """The characters that stand for bytes in GPT-2's vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = (byte for byte in range(256) if byte not in shown)
    letters = {byte: chr(byte) for byte in shown}
    return letters | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


LETTERS = alphabet()


def spelled(text):
    return "".join(LETTERS[byte] for byte in text.encode())


def vocabulary():
    """Return tokens and merges: the bytes, and the pieces letter by letter."""
    tokens, merges = [LETTERS[byte] for byte in range(256)], []
    for piece in map(spelled, PIECES):
        for end in range(1, len(piece)):
            head, longer = piece[:end], piece[: end + 1]
            if longer not in tokens:
                tokens.append(longer)
                merges.append(f"{head} {piece[end]}")
    return tokens, merges


def write_model(path):
    tokens, merges = vocabulary()
    kinds = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * 3
    tokens += [END, START, STOP, CALL]
    kinds.append(gguf.TokenType.USER_DEFINED)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(END))
    writer.add_eos_token_id(tokens.index(STOP))
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in tensors(tokens).items():
        writer.add_tensor(f"{name}.weight", tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(tokens):
    """Random weights, but for two things: it says pieces only, and a call goes on.

    One dimension belongs to the token that opens a call; the line feed that the format
    wants next is all that reads it.
    """
    random = np.random.default_rng(7)

    def drawn(*shape):
        return 0.3 * random.standard_normal(shape)

    said, put = drawn(len(tokens), WIDTH), drawn(len(tokens), WIDTH)
    put[:, 0] = said[:, 0] = 0
    for token in {*tokens} - {*map(spelled, PIECES)}:
        said[tokens.index(token)] = 0
    put[tokens.index(CALL)] = 0
    put[tokens.index(CALL), 0] = 1000
    said[tokens.index(spelled("\n")), 0] = 100
    ones = np.ones(WIDTH)
    made = {"token_embd": put, "output": said, "output_norm": ones}
    for n in range(BLOCKS):
        block = {
            **{f"attn_{part}": drawn(WIDTH, WIDTH) for part in ("q", "k", "v")},
            "attn_output": drawn(WIDTH, WIDTH),
            "ffn_gate": drawn(INNER, WIDTH),
            "ffn_up": drawn(INNER, WIDTH),
            "ffn_down": drawn(WIDTH, INNER),
            "attn_norm": ones,
            "ffn_norm": ones,
        }
        for name in ("attn_output", "ffn_down"):
            block[name][0] = 0
        made |= {f"blk.{n}.{name}": tensor for name, tensor in block.items()}
    return made


def serve(model):
    options = xllamacpp.CommonParams()
    options.model.path = str(model)
    options.model_alias = {"tiny"}
    options.n_ctx = CONTEXT
    options.cpuparams.n_threads = 1
    options.warmup = False
    options.use_jinja = True
    options.embedding = True
    options.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    options.cache_prompt = False  # each answer is computed anew, and alike
    options.api_keys = ["engine-key"]
    options.port = 0
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    path = Path(sys.argv[1], "tiny.gguf")
    write_model(path)
    serve(path)
