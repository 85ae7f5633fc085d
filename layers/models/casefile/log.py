"""The one logger. Its lines tell who did what to what, and never what was said."""

from __future__ import annotations

from aws_lambda_powertools import Logger

logger = Logger(service="casefile")
