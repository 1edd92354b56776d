"""The deployment of `workflow.yaml` in Python: the same agents, planner and tools, and the same definition hash.

Run it with `python deployment.py` where AgentFlow is installed, or take pieces of it into a program of your own.
"""

import tools

import agentflow

SERVICE, ENVIRONMENT = "{{ input.service_name }}", "{{ input.environment }}"
SETTLED = "{{ steps.settle_strategy }}"
IMAGE = "{{ steps.settle_strategy.image }}"
STRATEGIES = ["blue_green", "rolling", "canary"]

DEPLOYMENT_SCHEMA = {
    "type": "object",
    "required": ["strategy", "rollout_percentage", "monitoring_duration"],
    "additionalProperties": False,
    "properties": {
        "strategy": {"enum": STRATEGIES},
        "rollout_percentage": {"enum": [5, 10, 25, 50, 100]},
        "monitoring_duration": {"enum": ["5m", "10m", "30m"]},
    },
}

TEMPLATE = """Given the deployment request:
- Service: {{.service_name}}
- Environment: {{.environment}}
- Changes: {{.git_diff}}
- Current Traffic: {{.current_load}}

Choose deployment strategy:
1. blue_green (zero downtime, higher cost)
2. rolling (gradual, some risk)
3. canary (safest, slower)

Consider: traffic patterns, change risk, cost constraints
Output JSON: {"strategy": "...", "rollout_percentage": ..., "monitoring_duration": ...}
"""

# The machine that carries the strategy out (deterministic)
EXECUTION = agentflow.machine(
    {
        "settle_strategy": {
            "agent": "deployment_planner",
            "on_success": "validate_build",
            "on_error": "notify_failure",
        },
        "validate_build": {
            "agent": "build_validator",
            "on_success": "deploy_to_staging",
            "on_error": "notify_failure",
        },
        "deploy_to_staging": {
            "agent": "deployer",
            "on_success": "run_integration_tests",
            "on_error": "rollback_staging",
        },
        "run_integration_tests": {
            "agent": "tester",
            "on_success": "deploy_to_production",
            "on_error": "notify_test_failure",
        },
        "deploy_to_production": {
            "agent": "deployer",
            "on_success": "monitor_health",
            "on_error": "rollback_production",
        },
        "monitor_health": {
            "agent": "monitor",
            "timeout": "10m",
            "on_success": "deployment_complete",
            "on_error": "rollback_production",
        },
        "deployment_complete": {"agent": "finisher"},
        "notify_failure": {"agent": "notifier"},
        "notify_test_failure": {"agent": "notifier"},
        "rollback_staging": {"agent": "monitor"},
        "rollback_production": {"agent": "monitor"},
    },
    initial_state="settle_strategy",
)

# The model that chooses the strategy
DEPLOYMENT_PLANNER = agentflow.llm(
    {"provider": "local", "name": "smollm2-135m-instruct", "temperature": 0, "max_tokens": 60},
    timeout="60s",
    template=TEMPLATE,
    schema=DEPLOYMENT_SCHEMA,
    strategies=STRATEGIES,
    execution=EXECUTION,
    fallback=EXECUTION,
)

AGENTS = [
    agentflow.Agent(
        "deployment_planner",
        "custom",
        role="Analyze deployment requirements and choose strategy",
        handler="agents.py:settle_strategy",
        tools=["analyze_git_diff", "check_service_health", "estimate_traffic"],
        input={
            "service": SERVICE,
            "git_diff": "{{ input.git_diff }}",
            "current_load": "{{ input.current_load }}",
            "chosen": "{{ steps.plan }}",
        },
    ),
    agentflow.Agent(
        "build_validator",
        "custom",
        role="Validate build artifacts and run security scans",
        handler="agents.py:validate_build",
        tools=["docker_build", "security_scan", "dependency_check"],
        input={"service": SERVICE, "image": IMAGE},
    ),
    agentflow.Agent(
        "deployer",
        "custom",
        role="Execute deployment strategy",
        handler="agents.py:deploy",
        tools=["kubectl_apply", "terraform_apply", "update_load_balancer"],
        input={"service": SERVICE, "environment": ENVIRONMENT, "settled": SETTLED},
    ),
    agentflow.Agent(
        "finisher",
        "custom",
        role="Send the rest of the traffic to the new image",
        handler="agents.py:complete",
        tools=["update_load_balancer"],
        input={"service": SERVICE, "environment": ENVIRONMENT, "settled": SETTLED},
    ),
    agentflow.Agent(
        "tester",
        "custom",
        role="Run the integration tests against staging",
        handler="agents.py:test_staging",
        tools=["run_integration_tests"],
        input={"service": SERVICE, "image": IMAGE},
    ),
    agentflow.Agent(
        "monitor",
        "custom",
        role="Monitor deployment health and trigger rollbacks",
        handler="agents.py:monitor",
        tools=["check_metrics", "run_health_checks", "rollback_deployment"],
        input={
            "service": SERVICE,
            "environment": ENVIRONMENT,
            "monitoring_duration": "{{ steps.settle_strategy.monitoring_duration }}",
            "error": "{{ error }}",
        },
    ),
    agentflow.Agent(
        "notifier",
        "custom",
        role="Tell whoever is on call",
        handler="agents.py:notify",
        tools=["notify_on_call"],
        input={"service": SERVICE, "error": "{{ error }}"},
    ),
]


def create_deployment_workflow() -> agentflow.Workflow:
    """A model plans, a machine executes."""
    return agentflow.Workflow(
        "devops-deployment",
        AGENTS,
        DEPLOYMENT_PLANNER,
        description="A model chooses how a service is deployed; "
        "a machine carries it out, and rolls back what goes wrong.",
        input_schema={
            "type": "object",
            "required": ["service_name", "environment", "git_diff", "current_load"],
            "properties": {
                "service_name": {"type": "string", "minLength": 1, "maxLength": 100},
                "environment": {"type": "string", "pattern": "^production[a-z0-9-]*$"},
                "git_diff": {"type": "string", "maxLength": 6000},
                "current_load": {"type": "number", "minimum": 0},
            },
        },
        tools=[
            tools.analyze_git_diff,
            tools.check_service_health,
            tools.estimate_traffic,
            tools.docker_build,
            tools.security_scan,
            tools.dependency_check,
            tools.terraform_apply,
            tools.kubectl_apply,
            tools.update_load_balancer,
            tools.run_integration_tests,
            tools.check_metrics,
            tools.run_health_checks,
            tools.rollback_deployment,
        ],
        tool_registry={"tools": {"notify_on_call": {"type": "notify", "description": "A deployment failed"}}},
        output={
            "outcome": "{{ response.outcome }}",
            "chosen_by_model": "{{ steps.settle_strategy.chosen }}",
            "strategy": "{{ steps.settle_strategy.strategy }}",
            "rollout_percentage": "{{ steps.settle_strategy.rollout_percentage }}",
            "monitoring_duration": "{{ steps.settle_strategy.monitoring_duration }}",
            "because": "{{ steps.settle_strategy.because }}",
        },
    )


if __name__ == "__main__":
    diff = "+++ b/catalog/pages.py\n-    title = name\n+    title = name.strip()\n"
    request = {"service_name": "catalog", "environment": "production", "git_diff": diff, "current_load": 220}
    print(create_deployment_workflow().run(request).output)
