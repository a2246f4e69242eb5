"""Thin HTTP for the student's phone: parse, call one service, render."""
