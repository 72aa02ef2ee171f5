"""The upstream that both gateways of bench/gateway.py call: a fixed chat completion, whole or streamed."""

BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"stub","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hello there, how can I help you today?"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":20,"completion_tokens":10,"total_tokens":30}}'
)


async def app(scope, protocol):
    """Answers every request alike (RSGI, the leanest interface, so that the upstream takes as little as can be)."""
    if scope.proto == "http":
        await protocol()
        protocol.response_bytes(200, [("content-type", "application/json")], BODY)
