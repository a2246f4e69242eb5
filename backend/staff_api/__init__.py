"""Thin HTTP for registrars, counselors, bureaus and the province: parse, call one service, render."""
