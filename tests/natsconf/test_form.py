"""The form in which rows are written has a number: servers reload for another one only when a person says so."""

from spec_strategies import IDENTITY, key

from accounts_app.natsconf import render
from accounts_app.natsconf.specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    Snapshot,
    UserSpec,
)

FORMS = {2: "d11edc348c30a27016d2ec79a6e15810e6afe1e457ef8271f6bbfcc4a8b35d2e"}  # {RENDERER: sha256 of EVERYTHING}
PASSWORD = SecretSpec("password", "$2a$04$" + "a" * 53)
RULES = (
    RuleSpec("publish", "allow", "orders.>"),
    RuleSpec("publish", "deny", "orders.secret"),
    RuleSpec("subscribe", "allow", "orders.*", "workers"),
)
OWN = RoleSpec("till", (RuleSpec("publish", "allow", "till.{{name()}}"),), ResponseSpec(5, "1m"), ("STANDARD",))
EVERYTHING = Snapshot(
    IDENTITY,
    (
        AccountSpec(
            "SHOP",
            (
                *(UserSpec(name, PASSWORD, rules=RULES) for name in "abcdefgh"),
                UserSpec("nothing", PASSWORD),
                UserSpec("everything", PASSWORD, "all", retiring=SecretSpec("nkey", key(8))),
                UserSpec("till", SecretSpec("certificate", "CN=till"), "role", "till"),
                UserSpec("reader", SecretSpec("nkey", key(9)), "role", "*/reader"),
                UserSpec("away", PASSWORD, enabled=False),
            ),
            (OWN,),
            limits=LimitsSpec(10, 20, 1024, -1),
            jetstream=JetStreamSpec(1024, 2048, 3, 4),
            exports=(
                ExportSpec("stream", "orders.>", ("LAB",)),
                ExportSpec("service", "price", None, response_type="single", latency_subject="took"),
            ),
            mappings=(MappingSpec("old", (DestinationSpec("new", 60), DestinationSpec("newer", 40))),),
        ),
        AccountSpec(
            "LAB",
            (UserSpec("eve", PASSWORD, "inherit"),),
            (RoleSpec("guest", (RuleSpec("subscribe", "allow", "shop.>"),)),),
            default_role="guest",
            imports=(
                ImportSpec("stream", "SHOP", "orders.>", prefix="shop"),
                ImportSpec("service", "SHOP", "price", to="cost"),
            ),
        ),
        AccountSpec("$G", (UserSpec("old", PASSWORD, "all"),)),
        AccountSpec("GONE", enabled=False),
    ),
    (RoleSpec("reader", (RuleSpec("subscribe", "allow", ">"), RuleSpec("subscribe", "deny", "secret.>"))),),
)


def test_another_form_has_another_number():
    """Where this fails, the same rows give another text: raise RENDERER, and write its form down here."""
    written = render.assemble(render.render_snapshot(EVERYTHING), 0)
    assert {render.RENDERER: written.sha256} == FORMS
