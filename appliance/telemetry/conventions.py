"""Names of OpenTelemetry's semantic conventions, all of them here: GenAI as of tag v1.41.1, which is their last with a
schema of its own. What is ours begins with `agentflow.`.
"""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.1"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
WORKFLOW = "gen_ai.workflow.name"
AGENT_NAME = "gen_ai.agent.name"
AGENT_ID = "gen_ai.agent.id"
AGENT_VERSION = "gen_ai.agent.version"
CONVERSATION = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_MODEL = "gen_ai.response.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

CHAT, EMBEDDINGS, INVOKE_AGENT, INVOKE_WORKFLOW, EXECUTE_TOOL = (
    "chat",
    "embeddings",
    "invoke_agent",
    "invoke_workflow",
    "execute_tool",
)

RUN = "agentflow.run.id"
TENANT = "agentflow.tenant"
STATUS = "agentflow.run.status"
DEFINITION = "agentflow.definition"
STEP = "agentflow.step.id"
STEP_AGENT_TYPE = "agentflow.agent.type"
ATTEMPTS = "agentflow.step.attempts"
ATTEMPT = "agentflow.attempt"
SIGNAL = "agentflow.signal"
COST = "agentflow.cost.usd"
ZONE = "agentflow.zone"

OWN_PROVIDER = "agentflow"
"""Of an agent that asks no model, and of models in this program's own workers."""
