"""What the decision sets going; here it only says so. A site puts its payment service in this place (`type: http`)."""

import agentflow


@agentflow.tool(idempotent=True)
def approve_transaction(transaction_id: str, amount: float) -> dict:
    """Let a payment go."""
    return {"would": f"release payment {transaction_id} of {amount:.2f}"}
