"""What tools get of the settings and of memory: the site's mail server, and a search through what was ingested."""

import os
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from appliance.config.settings import MailSettings, Settings
from appliance.egress import GuardedHttp, GuardedMail, GuardedSql
from appliance.private_paths import private_paths
from appliance.secrets import Secrets
from models.gateway import Gateway
from models.prices import PriceTable
from redaction.guard import Guard
from runtime.agents.context import ModelsFor
from runtime.agents.rag import hit_of
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.memory import Collection
from runtime.domain.minimise import of_collection
from runtime.domain.tool import ToolSpec
from runtime.memory.embedding import DEFAULT_MODEL
from runtime.memory.retrieval import retrieve
from runtime.ports import Clock, MemoryStore, Minimiser
from runtime.sandbox.registry import Sandboxes
from runtime.tools.context import Means, place_of
from runtime.tools.files import SITE_FOLDER
from runtime.tools.profiles import Profiles
from runtime.tools.registry import Search
from runtime.tools.smtp import SITE_RECIPIENTS

DIGITS = 6


def profiles_of(settings: Settings) -> Profiles:
    """What compiles the profiles of calls here."""
    return Profiles(
        is_air_gapped=settings.mode == "air_gapped",
        private=private_paths(settings, os.environ),
        folders=settings.folders,
    )


def with_settings(mail: MailSettings, folders: Mapping[str, str] | None = None) -> Callable[[ToolSpec], ToolSpec]:
    """Completes tools of the kind `smtp`: their server where they name none, and whom they may write to at most; and
    of the kind `file`: where the folder lies that they name.

    A tool that names a server of its own gets no login of the settings.
    """

    def completed(spec: ToolSpec) -> ToolSpec:
        if spec.kind == "tool.file" and (place := (folders or {}).get(str(spec.config.get("folder")))):
            return replace(spec, config={**spec.config, SITE_FOLDER: place})
        if spec.kind != "tool.smtp":
            return spec
        config: dict[str, Json] = {SITE_RECIPIENTS: list(mail.recipients)} if mail.recipients else {}
        permissions = spec.permissions
        if "host" not in spec.config and mail.host:
            config |= {"host": mail.host, "port": mail.port, "security": mail.security}
            config |= {"username": mail.username, "password": mail.password}
            permissions = (*permissions, f"network.smtp:{place_of(mail.host.strip('[]'), mail.port)}")
        if mail.sender and "from" not in spec.config:
            config["from"] = mail.sender
        kept = {name: each for name, each in spec.config.items() if name != SITE_RECIPIENTS}
        return replace(spec, config={**kept, **config}, permissions=permissions)

    return completed


def means_of(
    http: GuardedHttp, guard: Guard, *, secrets: Secrets, prices: PriceTable, sandboxes: Sandboxes, clock: Clock
) -> Means:
    """What calls of tools may reach, each as far as its profile goes."""
    return Means(
        http=http,
        mail=GuardedMail(guard, secrets.reveal, prices),
        sql=GuardedSql(guard, secrets.reveal, prices),
        reveal=secrets.reveal,
        run=sandboxes.run,
        make_ready=sandboxes.make_ready,
        clock=clock,
    )


def document_search(models: Gateway, memory: MemoryStore, minimiser: Callable[[], Minimiser | None]) -> Search:
    """A search of one collection of the sender's tenant, as `rag` agents do it."""

    async def search(question: str, name: str, count: int, sender: Sender) -> Json:
        collection = Collection(sender.tenant, name)
        found = await retrieve(
            question, collection, limit=count, models=ModelsFor(models, sender), memory=memory, model=DEFAULT_MODEL
        )
        hits: Json = [hit_of(hit) for hit in found.hits]
        restoring = minimiser()
        if restoring is not None:
            hits = await restoring.restored(of_collection(collection), hits)
        return {"hits": hits, "confidence": round(found.confidence, DIGITS)}

    return search
