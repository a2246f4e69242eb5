"""Identity: accounts, sign-in, device keys, consents, and the enrolled face and portrait (HN334-2.3, 3.1, 3.2)."""
