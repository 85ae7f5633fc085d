"""The service: doors, rules and storage. The only package that knows AWS.

A module imports from its line and from those below it alone. To read one, read `session_log`.

    doors             entry (api, inbox, origins), news, stream, schedule, dispatch, web_pages;
                      starting
    background        idle, retention, erasure, domain_events
    what records say  transcript
    the log           session_log (append, close), reading, standing (what rewinding leaves)
    taking away       deletion
    what is stored    records, sessions, casefiles (casefile_heads), grants
    how it is found   lists, cursors, rounds; receipts, creation (what comes again)
    AWS               dynamodb (transport), contents (archives), bus; aws
    for all           access, attempts, parallel, metrics, log, config, errors
"""

import gc

from .config import is_lambda

if is_lambda():
    # Each look for garbage goes over what a start makes, and finds little: with as many as Python
    # has by itself, a tenth of the time. None at all would leave 0.4 MB.
    gc.set_threshold(10_000)
