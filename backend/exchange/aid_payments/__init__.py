"""Files of aid payments: `reader` parses and validates rows, `importer` records all of them or none."""
