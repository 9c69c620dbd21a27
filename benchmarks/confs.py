"""Confs of a given size, as people have them: every user with an nkey and permissions of its own."""

from __future__ import annotations

import secrets

from accounts_app.natsconf import nkeys

VICTIM_ALLOWS = ('"probe.>"', '"floor.>"')
READY = "floor.none"  # stands in the ready text where a floor's subject goes in


def conf(accounts: int, users: int, victim: str) -> str:
    """`accounts` accounts with `users` users in all, six permissions each.

    victim: public nkey of the user whose rights the benchmark takes away; it stands in the first account.
    """
    parts = ["accounts: {\n"]
    for account in range(accounts):
        parts.append(f"  A{account:05}: {{ users: [\n")
        for user in range(users // accounts):
            name = f"A{account:05}.u{user:05}"
            nkey, subscribe = nkeys.encode_public("U", secrets.token_bytes(32)), f'"{name}.in.>", "{name}.jobs.*"'
            denied = f'"{name}.in.private"'
            if account == user == 0:
                nkey, subscribe, denied = victim, ", ".join(VICTIM_ALLOWS), f'"{READY}"'
            parts.append(
                f'    {{ nkey: {nkey}, permissions: {{ publish: {{ allow: ["{name}.out.>", "{name}.status"], '
                f'deny: "{name}.out.audit" }}, subscribe: {{ allow: [{subscribe}], deny: {denied} }} }} }}\n'
            )
        parts.append("  ] }\n")
    parts.append("}\n")
    return "".join(parts)
