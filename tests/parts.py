"""The three parts of `python3 run.py test`, and what belongs to which: a module that stands nowhere here is `api`.

`checks` are rules that need no server, a few seconds in all; run.py puts formatter, linter and types before them.
`api` is everything over HTTP, to the application in the tests' own process. `pages` is what needs processes of its
own: failures, crowds, abuse, the embedded PostgreSQL, the command, the client for Node.
"""

from pathlib import Path

CHECKS = {
    "test_countries_names.py",
    "test_database_errors.py",
    "test_house_rules.py",
    "test_languages.py",
    "test_limits.py",
    "test_lookalikes.py",
    "test_log_watch.py",
    "test_mail_templates.py",
    "test_order_rules.py",
    "test_payment_rules.py",
    "test_skips.py",
    "test_ticket_payloads.py",
    "test_turns.py",
    "test_vault.py",
}

PAGES = {
    "abuse",  # the whole folder
    "pages",  # in a real browser
    "test_child.py",
    "test_cli.py",
    "test_crashes.py",
    "test_database.py",
    "test_doorkeeper.py",
    "test_embedded.py",
    "test_logs.py",
    "test_metrics.py",
    "test_migrations.py",
    "test_money_races.py",
    "test_press.py",
    "test_resets.py",
    "test_scarcity.py",
    "test_secret.py",
    "test_sdk.py",
    "test_serving.py",
    "test_stripe.py",
    "test_ticket_keys.py",
    "test_ticket_printing.py",
    "test_toggles.py",
    "test_transfer_races.py",
}

PARTS = ("checks", "api", "pages")
TESTS = Path(__file__).parent


def part_of(module: Path) -> str:
    """The part that a module of tests belongs to."""
    name = module.relative_to(TESTS).parts[0]
    return "checks" if name in CHECKS else "pages" if name in PAGES else "api"
