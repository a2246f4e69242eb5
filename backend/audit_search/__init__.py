"""Search of the audit log (审计查询) for registrars, bureaus and the province."""
