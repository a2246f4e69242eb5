"""The sub-commands of `dianming`, one module a noun; `backend.cli` puts them together."""
