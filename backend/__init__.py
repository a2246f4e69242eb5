"""The back end of Dianming: verification roll calls of secondary vocational schools (docs/architecture.md)."""
