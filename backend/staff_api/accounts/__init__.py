"""Staff endpoints for sign-in, accounts and activation."""
