"""SMS providers behind one port. A second provider is one module here and one line in `providers.PROVIDERS`."""
