"""The service: doors, rules and storage. The only package that knows AWS."""
