"""The sub-commands of `dianming`, one module per noun. `backend.cli` assembles them."""
