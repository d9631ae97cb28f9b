"""Who may call what: one row per operation, the access levels that pass the first door.

Whose thing it is, is decided where the thing is fetched. `tests/permissions.py` holds the expected answer of every
operation for every kind of caller; a test fails when an operation has no row here or there.
"""

from ticketing.kit.callers import Level

P, G, C, S, H, A = (
    Level.PUBLIC,
    Level.GATE,
    Level.CUSTOMER,
    Level.SUPPORT,
    Level.HOST,
    Level.ADMINISTRATOR,
)

ANY = frozenset({P, C, S, H, A})  # any key but a gate's, which opens only its gate
PEOPLE = frozenset({C, S, H, A})
STAFF = frozenset({S, A})
ADMINISTRATORS = frozenset({A})
GATES = frozenset({G, C, S, H, A})
ANY_OR_GATE = frozenset({P, G, C, S, H, A})

MAY_CALL: dict[str, frozenset[Level]] = {
    # sessions, tokens, integrations
    "start_session": ANY,
    "continue_session": ANY_OR_GATE,
    "end_session": ANY_OR_GATE,
    "retrieve_session": PEOPLE,
    "close_session": PEOPLE,
    "retrieve_token_auth": ANY,
    "create_integration": ADMINISTRATORS,
    "list_integrations": ADMINISTRATORS,
    "retrieve_integration": ADMINISTRATORS,
    "revoke_integration": ADMINISTRATORS,
    # accounts
    "list_accounts": STAFF,
    "create_account": ANY,
    "retrieve_account": PEOPLE,
    "update_account": PEOPLE,
    "change_password": PEOPLE,
    "delete_account": PEOPLE,
    "retrieve_account_preferences": PEOPLE,
    "update_account_preferences": PEOPLE,
    "list_account_hosts": PEOPLE,
    "lookup_account": ANY,
    "request_verification_code": ANY,
    "retrieve_verification": STAFF,
    "verify_account": ANY,
    "request_reset": ANY,
    "retrieve_reset": STAFF,
    "reset_password": ANY,
    "toggle_account": STAFF,
    "request_deletion": PEOPLE,
    "list_api_session": PEOPLE,
    "view_order_history": PEOPLE,
    "view_transfer_history": PEOPLE,
    "view_event_itinerary": PEOPLE,
    "list_ticket_wallet": PEOPLE,
    "retrieve_ticket": PEOPLE,
    "retrieve_wallet_ticket": PEOPLE,
    "print_ticket": PEOPLE,
    "draw_ticket_code": PEOPLE,
    "note_ticket": PEOPLE,
    # hosts
    "list_hosts": ANY,
    "create_host": PEOPLE,
    "retrieve_host": ANY,
    "update_host": PEOPLE,
    "delete_host": PEOPLE,
    "list_host_events": PEOPLE,
    "list_host_administrators": PEOPLE,
    "add_host_administrator": PEOPLE,
    "remove_host_administrator": PEOPLE,
    # events
    "list_published_events": ANY,
    "list_events": STAFF,
    "register_event": PEOPLE,
    "retrieve_event": ANY_OR_GATE,
    "update_event": PEOPLE,
    "delete_event": PEOPLE,
    "submit_event": PEOPLE,
    "publish_event": PEOPLE,
    "unpublish_event": PEOPLE,
    "cancel_event": PEOPLE,
    "list_sections": ANY_OR_GATE,
    "add_section": PEOPLE,
    "retrieve_section": ANY_OR_GATE,
    "update_section": PEOPLE,
    "remove_section": PEOPLE,
    "list_prices": ANY_OR_GATE,
    "add_price": PEOPLE,
    "retrieve_price": ANY_OR_GATE,
    "remove_price": PEOPLE,
    # gate
    "list_event_tokens": PEOPLE,
    "manage_admission_tokens": PEOPLE,
    "retrieve_admission_token": PEOPLE,
    "update_admission_token": PEOPLE,
    "invalidate_admission_token": PEOPLE,
    "list_event_tickets": GATES,
    "admit_event_patrons": GATES,
    "list_event_admissions": GATES,
    "retrieve_admission": GATES,
    # orders
    "list_orders": STAFF,
    "place_order": PEOPLE,
    "retrieve_order": PEOPLE,
    "cancel_order": PEOPLE,
    "print_order_tickets": PEOPLE,
    "settle_order": PEOPLE,
    "list_payments": PEOPLE,
    "refund_order": ADMINISTRATORS,
    "list_refunds": PEOPLE,
    # transfers
    "initiate_transfer": PEOPLE,
    "list_transfers": PEOPLE,
    "retrieve_transfer": PEOPLE,
    "cancel_transfer": PEOPLE,
    "list_claims": PEOPLE,
    "claim_transfer": PEOPLE,
    # reports
    "view_host_statistics": PEOPLE,
    "view_event_statistics": PEOPLE,
    "report_event_sales": PEOPLE,
    "transaction_report": PEOPLE,
    # regions, venues, categories, countries, submissions
    "list_regions": ANY,
    "add_region": ADMINISTRATORS,
    "retrieve_region": ANY,
    "update_region": ADMINISTRATORS,
    "remove_region": ADMINISTRATORS,
    "list_venues": ANY,
    "create_venue": ADMINISTRATORS,
    "retrieve_venue": ANY,
    "update_venue": ADMINISTRATORS,
    "delete_venue": ADMINISTRATORS,
    "list_categories": ANY,
    "create_category": ADMINISTRATORS,
    "retrieve_category": ANY,
    "update_category": ADMINISTRATORS,
    "delete_category": ADMINISTRATORS,
    "retrieve_countries": ANY,
    "list_submissions": ADMINISTRATORS,
    "retrieve_submission": ADMINISTRATORS,
    "decide_on_submission": ADMINISTRATORS,
}
