"""The reference bank: who may match, with what fingerprint."""
