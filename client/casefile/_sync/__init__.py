"""One half of the client; `make client` writes the synchronous one from the asynchronous one."""
