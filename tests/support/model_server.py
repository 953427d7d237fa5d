"""A small model server that speaks vLLM's wire format over real HTTP, and misbehaves on command.

Its LoRA endpoints answer with the statuses and sentences of vLLM 0.32, and read the adapter's files
as that does; `tests/vllm` holds them against a real one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

BASE_MODEL = "base-model"
ADAPTER = "house-voice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to treat one chat call; the default behaves.

    Attributes:
        status: Other than 200: answer this error at once, with ``message`` and ``headers``.
        body: Answer these bytes as ``content_type`` instead of an answer.
        hang_up: Close the connection without an answer.
        hold: Wait for this event, which nobody needs to set, having sent ``hold_at`` frames.
        cut_after: Having sent so many frames, break the connection.
        error_frame: Sent instead of the rest, after ``cut_after`` frames; the stream ends properly.
        usage: Whether to send the usage frame.
        done: Whether to send the end mark.
        comments: Whether to send keep-alive comments between frames.
        piece: Send the stream in pieces of so many bytes.
        words: The answer, instead of the usual one.
        finish: Why the answer ends.
        reason: Send this much reasoning before the answer.
    """

    status: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "text/event-stream"
    hang_up: bool = False
    hold: asyncio.Event | None = None
    hold_at: int = 0
    cut_after: int | None = None
    error_frame: Mapping[str, object] | None = None
    usage: bool = True
    done: bool = True
    comments: bool = False
    piece: int | None = None
    words: str | None = None
    finish: str = "stop"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, object]


class ModelServer:
    """What a test sees of the server.

    Attributes:
        url: Address without ``/v1``.
        port: Where it listens; 0 for a free one when it first comes up.
        plans: How to treat the next chat calls, first come first served; then the default.
        calls: Chat calls that arrived.
        listings: How often the models were listed.
        models: Name and base of each model; a test may change it.
        roots: Where the files of a model lie; what is not in here has its name for a root.
        runtime_loading: Whether it was started with ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=1``.
        lora: Whether it was started with ``--enable-lora``.
        max_lora_rank: As ``--max-lora-rank``.
        elsewhere: Whether it sees no folder of this machine.
        engine_fault: What its engine says instead of loading an adapter.
        stuck: Whether it answers 500 when it is to unload an adapter.
        has_health: Whether it has ``/health``, which other servers than vLLM may lack.
        healthy: Whether its engine lives.
        loads: Names that it was told to load, in order.
        told_to_load: Set when it is told to load an adapter.
        loading: Waited for before an adapter is loaded; open unless a test closes it.
        client_left: Set when a client goes away in the middle of an answer.
        arrived: Set when a chat call has arrived.
    """

    def __init__(self) -> None:
        self.url = ""
        self.plans: deque[Plan] = deque()
        self.calls: list[Seen] = []
        self.listings = 0
        self.models: list[tuple[str, str | None]] = [(BASE_MODEL, None), (ADAPTER, BASE_MODEL)]
        self.roots: dict[str, str] = {}
        self.runtime_loading = True
        self.lora = True
        self.max_lora_rank = 16
        self.elsewhere = False
        self.engine_fault = ""
        self.stuck = False
        self.has_health = True
        self.healthy = True
        self.loads: list[str] = []
        self.told_to_load = asyncio.Event()
        self.loading = asyncio.Event()
        self.loading.set()
        self.api_key: str | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.sockets: set[object] = set()
        self.client_left = asyncio.Event()
        self.arrived = asyncio.Event()

    def plan(self, *plans: Plan) -> None:
        """Queue how the next calls are treated."""
        self.plans.extend(plans)

    @property
    def connections(self) -> int:
        """How many connections clients have opened."""
        return len(self.sockets)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """Serve ``GET /v1/models``."""
        self.listings += 1
        self.sockets.add(request.transport)
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, "Unauthorized")
        data = [
            {
                "id": name,
                "object": "model",
                "owned_by": "vllm",
                "root": self.roots.get(name, name),
                "parent": base,
            }
            for name, base in self.models
        ]
        return web.json_response({"object": "list", "data": data})

    @property
    def names(self) -> list[str]:
        """What it serves."""
        return [name for name, _ in self.models]

    async def health(self, request: web.Request) -> web.StreamResponse:
        """Serve ``GET /health``."""
        if not self.has_health:
            return _no_such_path()
        return web.Response(status=200 if self.healthy else 503)

    async def load(self, request: web.Request) -> web.StreamResponse:
        """Serve ``POST /v1/load_lora_adapter``."""
        if not self.runtime_loading:
            return _no_such_path()
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        self.loads.append(name)
        self.told_to_load.set()
        await self.loading.wait()
        if (name, None) in self.models:
            return _error(400, f"The lora adapter '{name}' conflicts with a served base model.")
        if name in self.names:
            return _error(
                400,
                f"The lora adapter '{name}' has already been loaded. If you want to load the "
                "adapter in place, set 'load_inplace' to True.",
            )
        try:
            self._read(name, Path(path))
        except _Unloadable as error:
            return _error(error.status, str(error))
        base = next(known for known, parent in self.models if parent is None)
        self.models.append((name, base))
        self.roots[name] = path
        return web.Response(body=f"Success: LoRA adapter '{name}' added successfully.".encode())

    async def unload(self, request: web.Request) -> web.StreamResponse:
        """Serve ``POST /v1/unload_lora_adapter``."""
        if not self.runtime_loading:
            return _no_such_path()
        name = (await request.json())["lora_name"]
        if self.stuck:
            return _error(500, "Internal server error")
        adapters = [known for known, base in self.models if base is not None]
        if name not in adapters:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        self.models = [model for model in self.models if model[0] != name]
        return web.Response(body=f"Success: LoRA adapter '{name}' removed successfully.".encode())

    def _read(self, name: str, folder: Path) -> None:
        if not self.lora:
            raise _engine_says("LoRA is not enabled. Use --enable-lora to enable LoRA.")
        config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        if self.engine_fault:
            raise _engine_says(self.engine_fault)
        if self.elsewhere or not config.is_file():
            raise _Unloadable(404, f"Loading lora {name} failed: No adapter found for <path>")
        rank = json.loads(config.read_text())["r"]
        if rank > self.max_lora_rank:
            limit = self.max_lora_rank
            raise _engine_says(f"LoRA rank {rank} is greater than max_lora_rank {limit}.")
        data = weights.read_bytes()
        if int.from_bytes(data[:8], "little") > len(data):
            raise _engine_says("Error while deserializing header: header too large")

    async def stop(self) -> None:
        """Go down: connections break, and new ones are refused."""
        assert self._runner is not None
        for transport in self.sockets:
            assert isinstance(transport, asyncio.Transport)
            transport.abort()
        await self._runner.cleanup()
        self._runner = None

    async def start(self) -> None:
        """Come up, on the same port each time; what was loaded at run time is gone."""
        self.models = [model for model in self.models if model[0] not in self.loads]
        app = web.Application()
        app.router.add_get("/health", self.health)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/load_lora_adapter", self.load)
        app.router.add_post("/v1/unload_lora_adapter", self.unload)
        # As uvicorn does for vLLM: a client that goes away cancels the call that serves it.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        host, self.port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self.port}"

    @property
    def is_up(self) -> bool:
        """Whether it listens."""
        return self._runner is not None

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Serve ``POST /v1/chat/completions``."""
        body = await request.json()
        self.sockets.add(request.transport)
        self.calls.append(Seen(request.path, request.headers.copy(), body))
        plan = self.plans.popleft() if self.plans else Plan()
        self.arrived.set()
        try:
            return await self._answer(request, body, plan)
        except asyncio.CancelledError:
            self.client_left.set()
            raise

    async def _answer(
        self, request: web.Request, body: Mapping[str, object], plan: Plan
    ) -> web.StreamResponse:
        if plan.hang_up:
            _break(request)
        if plan.status != 200:
            return _error(plan.status, plan.message, plan.headers)
        if body["model"] not in [name for name, _ in self.models]:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if plan.body is not None:
            return web.Response(body=plan.body, content_type=plan.content_type)
        if not body["stream"]:
            if plan.hold:
                await plan.hold.wait()
            return web.json_response(_whole(body, plan))
        return await self._stream(request, body, plan)

    async def _stream(
        self, request: web.Request, body: Mapping[str, object], plan: Plan
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for sent, frame in enumerate(_frames(body, plan)):
            if plan.hold and plan.hold_at == sent:
                await plan.hold.wait()
            if plan.cut_after == sent:
                if plan.error_frame is None:
                    _break(request)
                await _write(response, f"data: {json.dumps(plan.error_frame)}\n\n", plan.piece)
                break
            if plan.comments:
                await _write(response, ": still here\r\n\r\n", plan.piece)
            await _write(response, f"data: {frame}\n\n", plan.piece)
        if plan.done:
            await _write(response, "data: [DONE]\n\n", plan.piece)
        await response.write_eof()
        return response


@asynccontextmanager
async def model_server() -> AsyncIterator[ModelServer]:
    """Serve on a free loopback port for as long as the context lasts."""
    server = ModelServer()
    await server.start()
    try:
        yield server
    finally:
        if server.is_up:
            await server.stop()


class _Unloadable(Exception):
    """What the engine says of an adapter."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


def _engine_says(words: str) -> _Unloadable:
    return _Unloadable(
        500,
        f"Call to add_lora method failed: Worker failed with error '{words}', please check the "
        "stack trace above for the root cause",
    )


def _words(body: Mapping[str, object], plan: Plan) -> Sequence[str]:
    """The answer in pieces as tokens would come: each model answers in its own words."""
    text = plan.words
    if text is None:
        text = _structured(body) or f"Das weiß {body['model']}: {_last_turn(body)}"
    return [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]


def _structured(body: Mapping[str, object]) -> str | None:
    choices = body.get("structured_outputs")
    if isinstance(choices, dict) and "choice" in choices:
        return str(choices["choice"][0])
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    properties = wanted["json_schema"]["schema"].get("properties", {})
    return json.dumps({name: _example(kind["type"]) for name, kind in properties.items()})


def _called(body: Mapping[str, object]) -> list[dict[str, object]]:
    """A call of the first tool, in pieces, where one is offered and none has answered yet."""
    tools, messages = body.get("tools"), body["messages"]
    assert isinstance(messages, list)
    if not isinstance(tools, list) or messages[-1]["role"] == "tool":
        return []
    name = _first_tool(body)
    opening = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": ""}}
    arguments = ('{"city": ', '"Paris"}')
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in arguments]
    return [{"index": 0, **opening}, *pieces]


def _first_tool(body: Mapping[str, object]) -> str:
    tools = body["tools"]
    assert isinstance(tools, list)
    return str(tools[0]["function"]["name"])


def _example(kind: str) -> object:
    return {"string": "text", "integer": 1, "boolean": True, "number": 0.5}[kind]


def _last_turn(body: Mapping[str, object]) -> str:
    messages = body["messages"]
    assert isinstance(messages, list)
    return str(messages[-1]["content"])


def _usage(body: Mapping[str, object], plan: Plan) -> dict[str, int]:
    prompt = len(_last_turn(body).split())
    answer = len(_words(body, plan))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
    }


def _whole(body: Mapping[str, object], plan: Plan) -> dict[str, object]:
    called = _called(body)
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if called else "".join(_words(body, plan)),
        "reasoning": plan.reason or None,
    }
    if called:
        opening = {name: value for name, value in called[0].items() if name != "index"}
        opening["function"] = {"name": _first_tool(body), "arguments": '{"city": "Paris"}'}
        message["tool_calls"] = [opening]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if called else plan.finish,
            }
        ],
        "usage": _usage(body, plan) if plan.usage else None,
    }


def _frames(body: Mapping[str, object], plan: Plan) -> list[str]:
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    if plan.reason:
        deltas.append({"reasoning": plan.reason})
    if called := _called(body):
        deltas.extend({"tool_calls": [piece]} for piece in called)
    else:
        deltas.extend({"content": word} for word in _words(body, plan))
    choices: list[list[dict[str, object]]] = [
        [{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas
    ]
    choices[-1][0]["finish_reason"] = "tool_calls" if called else plan.finish
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": body["model"]}
    frames: list[dict[str, object]] = [head | {"choices": choice} for choice in choices]
    options = body.get("stream_options")
    if plan.usage and isinstance(options, dict) and options.get("include_usage"):
        frames.append(head | {"choices": [], "usage": _usage(body, plan)})
    # Real servers leave letters as they are; escapes would hide how UTF-8 is cut.
    return [json.dumps(frame, ensure_ascii=False) for frame in frames]


async def _write(response: web.StreamResponse, text: str, piece: int | None) -> None:
    data = text.encode()
    size = piece or len(data)
    for start in range(0, len(data), size):
        await response.write(data[start : start + size])
        # Lets the client, which shares this loop, see this piece on its own.
        await asyncio.sleep(0)


def _error(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    error = {"message": message, "type": "Error", "param": None, "code": status}
    return web.json_response({"error": error}, status=status, headers=headers)


def _no_such_path() -> web.StreamResponse:
    return web.json_response({"detail": "Not Found"}, status=404)


def _break(request: web.Request) -> None:
    """Drop the connection as a dying process does."""
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError
