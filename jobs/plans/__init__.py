"""Plans of nights: the rates of measured ones, and what larger ones take."""
