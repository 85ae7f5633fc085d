"""The service: doors, rules and storage. The only package that knows AWS."""

import gc

from .config import is_lambda

if is_lambda():
    # Each look for garbage goes over what a start makes, and finds little: with as many as Python
    # has by itself, a tenth of the time. None at all would leave 0.4 MB.
    gc.set_threshold(10_000)
