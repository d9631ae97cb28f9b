"""Who gets which answer: every operation x every kind of caller. `test_permissions.py` walks it over HTTP.

A line is an operation's id, the status that each caller of COLUMNS gets, and what is sent. A new operation needs a
line here; a second line with the same id shows it once more with another thing. In the columns

    403    the general refusal: the key is unknown, or its level does not open the operation
    403*   a refusal with a text of its own: the thing is somebody else's
    400    the caller passes the door, and what is sent ({} unless the line says otherwise) lacks something

What is sent comes last, a long one on a line of its own below, indented. Any of: `event=draft` (the path's `{event}`,
and all that belongs to it, is that of the maker `draft`), `?role=sender` (a query), `{"host": "$host"}` (a body;
in both `$host` is the id or the number of the thing).
Things are made by the methods of `World` in `things.py`, named like the parameters of the path.

    none      no key                                        runner    administrator of the event's host
    unknown   a key that nobody has                         rival     administrator of another host
    public    an integration with the level public          gate      key of a gate of the event
    customer  whose account, order, ticket it is            afar      key of a gate of another event
    other     another customer                              support, admin: of the platform
"""

import re
from typing import NamedTuple

COLUMNS = ("none", "unknown", "public", "customer", "other", "runner", "rival", "gate", "afar", "support", "admin")

TABLE = """
# operation                    none unkn publ cust othr runr rivl gate afar supp admn  sends

# sessions, tokens, integrations
start_session                  401  403  400  400  400  400  400  403  403  400  400
continue_session               401  401  401  200  200  200  200  401  401  200  200
end_session                    401  401  401  200  200  200  200  401  401  200  200
request_sign_in                401  403  400  400  400  400  400  403  403  400  400
retrieve_sign_in               401  403  403  403  403  403  403  403  403  200  200
sign_in_by_code                401  403  400  400  400  400  400  403  403  400  400
retrieve_session               401  403  403  200  403* 403* 403* 403  403  403* 200
close_session                  401  403  403  200  403* 403* 403* 403  403  403* 200
list_api_session               401  403  403  200  403* 403* 403* 403  403  200  200
retrieve_token_auth            401  403  200  200  200  200  200  403  403  200  200
list_integrations              401  403  403  403  403  403  403  403  403  403  200
create_integration             401  403  403  403  403  403  403  403  403  403  400
create_integration             401  403  403  403  403  403  403  403  403  403  201
    {"name": "$new", "access": "public"}
retrieve_integration           401  403  403  403  403  403  403  403  403  403  200
revoke_integration             401  403  403  403  403  403  403  403  403  403  200

# accounts
list_accounts                  401  403  403  403  403  403  403  403  403  200  200
create_account                 401  403  400  400  400  400  400  403  403  400  400
retrieve_account               401  403  403  200  403* 403* 403* 403  403  200  200
update_account                 401  403  403  200  403* 403* 403* 403  403  403* 200
retrieve_password              401  403  403  200  403* 403* 403* 403  403  403* 403*
change_password                401  403  403  400  403* 403* 403* 403  403  403* 403*
delete_account                 401  403  403  200  403* 403* 403* 403  403  403* 200
retrieve_account_preferences   401  403  403  200  403* 403* 403* 403  403  403* 200
update_account_preferences     401  403  403  400  403* 403* 403* 403  403  403* 400
list_account_hosts             401  403  403  200  403* 403* 403* 403  403  200  200
lookup_account                 401  403  400  400  400  400  400  403  403  400  400
request_verification_code      401  403  400  400  400  400  400  403  403  400  400
retrieve_verification          401  403  403  403  403  403  403  403  403  200  200
verify_account                 401  403  400  400  400  400  400  403  403  400  400
request_reset                  401  403  400  400  400  400  400  403  403  400  400
retrieve_reset                 401  403  403  403  403  403  403  403  403  200  200
reset_password                 401  403  400  400  400  400  400  403  403  400  400
toggle_account                 401  403  403  403  403  403  403  403  403  201  201   {"reason": "fraud"}
request_deletion               401  403  403  400  403* 403* 403* 403  403  403* 403*
view_order_history             401  403  403  200  403* 403* 403* 403  403  200  200
view_transfer_history          401  403  403  400  403* 403* 403* 403  403  400  400
view_transfer_history          401  403  403  200  403* 403* 403* 403  403  200  200   ?role=sender
view_event_itinerary           401  403  403  200  403* 403* 403* 403  403  200  200
list_ticket_wallet             401  403  403  200  403* 403* 403* 403  403  200  200
retrieve_ticket                401  403  403  200  403* 403* 403* 403  403  200  200
retrieve_wallet_ticket         401  403  403  200  403* 403* 403* 403  403  200  200
print_ticket                   401  403  403  200  403* 403* 403* 403  403  200  200
draw_ticket_code               401  403  403  200  403* 403* 403* 403  403  200  200
note_ticket                    401  403  403  200  403* 403* 403* 403  403  200  200

# hosts
list_hosts                     401  403  200  200  200  200  200  403  403  200  200
create_host                    401  403  403  400  400  400  400  403  403  400  400
retrieve_host                  401  403  200  200  200  200  200  403  403  200  200
update_host                    401  403  403  403* 403* 400  403* 403  403  403* 400
delete_host                    401  403  403  403* 403* 200  403* 403  403  403* 200
list_host_events               401  403  403  403* 403* 200  403* 403  403  403* 200
list_host_administrators       401  403  403  403* 403* 200  403* 403  403  403* 200
add_host_administrator         401  403  403  403* 403* 400  403* 403  403  403* 400
remove_host_administrator      401  403  403  403* 403* 200  403* 403  403  403* 200   number=deputy
remove_host_administrator      401  403  403  403* 200  200  403* 403  403  403* 200   number=invited
accept_host_invitation         401  403  403  403* 201  403* 403* 403  403  403* 403*  number=invited
list_account_invitations       401  403  403  200  403* 403* 403* 403  403  200  200

# events
list_published_events          401  403  200  200  200  200  200  403  403  200  200
list_events                    401  403  403  403  403  403  403  403  403  200  200
register_event                 401  403  403  403* 403* 400  403* 403  403  403* 400   {"host": "$host"}
retrieve_event                 401  403  200  200  200  200  200  200  200  200  200
retrieve_event                 401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
note_event                     401  403  200  200  200  200  200  200  200  200  200
note_event                     401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
update_event                   401  403  403  403* 403* 400  403* 403  403  403* 400
delete_event                   401  403  403  403* 403* 200  403* 403  403  403* 200
submit_event                   401  403  403  403* 403* 201  403* 403  403  403* 201   event=draft
publish_event                  401  403  403  403* 403* 200  403* 403  403  403* 200
unpublish_event                401  403  403  403* 403* 200  403* 403  403  403* 200
cancel_event                   401  403  403  403* 403* 200  403* 403  403  403* 200   {"reason": "rain"}
list_sections                  401  403  200  200  200  200  200  200  200  200  200
list_sections                  401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
add_section                    401  403  403  403* 403* 400  403* 403  403  403* 400
retrieve_section               401  403  200  200  200  200  200  200  200  200  200
retrieve_section               401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
update_section                 401  403  403  403* 403* 400  403* 403  403  403* 400
remove_section                 401  403  403  403* 403* 200  403* 403  403  403* 200
list_prices                    401  403  200  200  200  200  200  200  200  200  200
list_prices                    401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
add_price                      401  403  403  403* 403* 400  403* 403  403  403* 400
retrieve_price                 401  403  200  200  200  200  200  200  200  200  200
retrieve_price                 401  403  403* 403* 403* 200  403* 200  403* 200  200   event=draft
remove_price                   401  403  403  403* 403* 200  403* 403  403  403* 200

# gates
list_event_tokens              401  403  403  403* 403* 200  403* 403  403  403* 200
manage_admission_tokens        401  403  403  403* 403* 400  403* 403  403  403* 400
retrieve_admission_token       401  403  403  403* 403* 200  403* 403  403  403* 200
update_admission_token         401  403  403  403* 403* 400  403* 403  403  403* 400
renew_admission_token          401  403  403  403* 403* 201  403* 403  403  403* 201
invalidate_admission_token     401  403  403  403* 403* 200  403* 403  403  403* 200
list_event_tickets             401  403  403  403* 403* 200  403* 200  403  403* 200
admit_event_patrons            401  403  403  403* 403* 400  403* 400  403  403* 400
admit_event_patrons            401  403  403  403* 403* 201  403* 201  403  403* 201
    {"redeemer": "Kofi", "device": "1", "serials": ["$serial"]}
list_event_admissions          401  403  403  403* 403* 200  403* 200  403  403* 200
retrieve_admission             401  403  403  403* 403* 200  403* 200  403  403* 200
list_event_refusals            401  403  403  403* 403* 200  403* 200  403  403* 200
upload_scans                   401  403  403  403* 403* 400  403* 400  403  403* 400
upload_scans                   401  403  403  403* 403* 200  403* 200  403  403* 200
    {"redeemer": "Kofi", "device": "1", "scans": [{"serial": "$serial", "at": "2026-01-01T00:00:00Z", "nonce": "1"}]}
list_scan_conflicts            401  403  403  403* 403* 200  403* 200  403  403* 200
retrieve_scan_conflict         401  403  403  403* 403* 200  403* 200  403  403* 200
list_event_guests              401  403  403  403* 403* 200  403* 200  403  403* 200
retrieve_refusal               401  403  403  403* 403* 200  403* 200  403  403* 200

# orders
list_orders                    401  403  403  403  403  403  403  403  403  200  200
place_order                    401  403  403  201  201  201  201  403  403  201  201
    {"items": {"/events/$event/sections/$section": 1}}
place_order                    401  403  403  201  403* 403* 403* 403  403  403* 201
    {"customer": "$number", "items": {"/events/$event/sections/$section": 1}}
retrieve_order                 401  403  403  200  403* 403* 403* 403  403  200  200
print_order_tickets            401  403  403  200  403* 403* 403* 403  403  200  200
resend_order_tickets           401  403  403  202  403* 403* 403* 403  403  202  202
cancel_order                   401  403  403  200  403* 403* 403* 403  403  403* 200   order=placed
settle_order                   401  403  403  400  403* 403* 403* 403  403  403* 400   order=placed
list_payments                  401  403  403  200  403* 403* 403* 403  403  200  200
end_payment                    401  403  403  403  403  403  403  403  403  403  200   order=paying
refund_order                   401  403  403  403  403  403  403  403  403  403  400
list_refunds                   401  403  403  200  403* 403* 403* 403  403  200  200

# reports
view_host_statistics           401  403  403  403* 403* 200  403* 403  403  403* 200
view_event_statistics          401  403  403  403* 403* 200  403* 403  403  403* 200
report_event_sales             401  403  403  403* 403* 200  403* 403  403  403* 200
transaction_report             401  403  403  403  403  403  403  403  403  403  200
transaction_report             401  403  403  403* 403* 200  403* 403  403  403* 200   ?host=$host

# transfers: the customer sends, the deputy is to receive
list_transfers                 401  403  403  200  200  200  200  403  403  200  200
initiate_transfer              401  403  403  400  400  400  400  403  403  400  400
initiate_transfer              401  403  403  400  403* 403* 403* 403  403  403* 400   {"sender": "$number"}
retrieve_transfer              401  403  403  200  403* 403* 403* 403  403  200  200
cancel_transfer                401  403  403  200  403* 403* 403* 403  403  403* 200
list_claims                    401  403  403  200  403* 403* 403* 403  403  200  200
claim_transfer                 401  403  403  403* 403* 403* 403* 403  403  403* 403*
claim_transfer                 401  403  403  201  403* 403* 403* 403  403  403* 403*  transfer=received

# regions, venues, categories, countries, submissions
list_regions                   401  403  200  200  200  200  200  403  403  200  200
add_region                     401  403  403  403  403  403  403  403  403  403  400
retrieve_region                401  403  200  200  200  200  200  403  403  200  200
update_region                  401  403  403  403  403  403  403  403  403  403  400
remove_region                  401  403  403  403  403  403  403  403  403  403  200
list_venues                    401  403  200  200  200  200  200  403  403  200  200
create_venue                   401  403  403  403  403  403  403  403  403  403  400
retrieve_venue                 401  403  200  200  200  200  200  403  403  200  200
update_venue                   401  403  403  403  403  403  403  403  403  403  400
delete_venue                   401  403  403  403  403  403  403  403  403  403  200
list_categories                401  403  200  200  200  200  200  403  403  200  200
create_category                401  403  403  403  403  403  403  403  403  403  400
retrieve_category              401  403  200  200  200  200  200  403  403  200  200
update_category                401  403  403  403  403  403  403  403  403  403  400
delete_category                401  403  403  403  403  403  403  403  403  403  200
retrieve_countries             401  403  200  200  200  200  200  403  403  200  200
list_submissions               401  403  403  403  403  403  403  403  403  403  200
retrieve_submission            401  403  403  403  403  403  403  403  403  403  200
decide_on_submission           401  403  403  403  403  403  403  403  403  403  400
decide_on_submission           401  403  403  403  403  403  403  403  403  403  200   ?approved=true
"""


class Line(NamedTuple):
    """One line of the table: `answers` by caller, `things` that stand for others, a query, a body as JSON text."""

    operation: str
    answers: dict[str, str]
    things: dict[str, str]
    query: str
    body: str


_LINE = re.compile(r"(\w+)\s+((?:\d{3}\*?\s+){10}\d{3}\*?)(?:\s+((?:\w+=\w+\s*)*))?(?:\?(\S+)\s*)?({.*})?\s*")


def read_table() -> list[Line]:
    """The lines of TABLE."""
    lines = []
    for text in TABLE.replace("\n    ", " ").splitlines():
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        assert match, f"no line of the permission table: {text}"
        operation, answers, things, query, body = match.groups()
        lines.append(
            Line(
                operation,
                dict(zip(COLUMNS, answers.split(), strict=True)),
                dict(one.split("=") for one in (things or "").split()),
                query or "",
                body or "{}",
            )
        )
    return lines
