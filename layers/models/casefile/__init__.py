"""The service: doors, rules and storage. The only package that knows AWS."""

import gc

from .config import is_lambda

if is_lambda():
    gc.disable()  # There is nothing to collect before `starting.start` ends the start.
