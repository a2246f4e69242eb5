"""Sign-in: authentication of phone requests (DPoP) and of staff, access tokens, sessions, the second factor."""
