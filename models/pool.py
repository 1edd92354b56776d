"""The hosts of one backend: one per model, made when the model is first asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from models import folder as models_folder
from models.catalog import Kind
from models.folder import Manifest
from models.host import DEFAULT_LIMITS, HostLimits, WorkerHost
from models.in_thread import ThreadHost
from models.wire import AnyAsk, Final, Load, Loaded
from runtime.domain.chat import ModelInfo
from runtime.errors import Invalid

Mode = Literal["process", "thread"]
Host = WorkerHost | ThreadHost


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the models of a backend are run."""

    folder: Path
    """The model folder."""
    mode: Mode = "process"
    """`thread` only where no child process may be started: a crash of the engine then ends the program."""
    context_tokens: int = 4_096
    """Room for input plus output; a model made for less gets less. SmolLM2 takes 23 kB of memory per token."""
    threads: int = 1
    """Threads of one model. More help long prompts only, and only on an idle machine."""
    logs: Path | None = None
    """Where the workers' logs go; None: nowhere."""
    limits: HostLimits = DEFAULT_LIMITS


class Pool:
    """Finds or makes the host of a model."""

    def __init__(self, kind: Kind, settings: PoolSettings) -> None:
        self._kind = kind
        self._settings = settings
        self._hosts: dict[str, Host] = {}

    async def ask(
        self, model: str, ask: AnyAsk, on_text: Callable[[str], None] = lambda _text: None
    ) -> tuple[Final, Loaded]:
        """The answer, and what the model that gave it said of itself. Raises NotFound for an unknown model."""
        host = self._host(model)
        answer = await host.call(ask, on_text=on_text)
        assert host.loaded is not None
        return answer, host.loaded

    async def stop(self) -> None:
        """Stop every host."""
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            await host.stop()

    def describe(self, backend: str) -> list[ModelInfo]:
        """The models of this kind in the folder."""
        manifests = models_folder.list_models(self._settings.folder)
        return [self._info(backend, manifest) for manifest in manifests if manifest.kind == self._kind]

    def _host(self, model: str) -> Host:
        host = self._hosts.get(model)
        if host is None:
            manifest = models_folder.find(self._settings.folder, model)
            if manifest.kind != self._kind:
                raise Invalid(
                    "model.wrong_kind", f"model {model!r} is for {manifest.kind}; this needs one for {self._kind}"
                )
            host = self._hosts[model] = self._make(model)
        return host

    def _make(self, model: str) -> Host:
        settings = self._settings
        load = Load(
            kind=self._kind,
            name=model,
            folder=str(settings.folder.absolute()),
            context_tokens=settings.context_tokens,
            threads=settings.threads,
        )
        if settings.mode == "thread":
            return ThreadHost(load, limits=settings.limits)
        log = settings.logs / f"model-{model}.log" if settings.logs else None
        return WorkerHost(load, log=log, limits=settings.limits)

    def _info(self, backend: str, manifest: Manifest) -> ModelInfo:
        host = self._hosts.get(manifest.name)
        loaded = host.loaded if host else None
        return ModelInfo(
            backend=backend,
            model=manifest.name,
            zone="local",
            context_tokens=loaded.context_tokens if loaded else self._expected_context(manifest),
            is_loaded=loaded is not None,
            detail={
                "licence": manifest.licence,
                "size_bytes": manifest.size_bytes,
                **(loaded.identity if loaded else {}),
            },
        )

    def _expected_context(self, manifest: Manifest) -> int:
        if manifest.kind == "embedding":
            return manifest.context_tokens
        return min(self._settings.context_tokens, manifest.context_tokens)
