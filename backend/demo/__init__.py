"""The story on real input: clients that use only public interfaces."""
