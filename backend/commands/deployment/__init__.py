"""Commands that set up and run a deployment: migration, keys, servers, seed data and the demonstration."""
