"""The webhooks that verdicts owe: taken by one process at a time, due again by themselves when it dies."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.serving.ledger import Ledger, Sent

NEXT = "SELECT * FROM deliveries WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at LIMIT 1"
TAKE = "UPDATE deliveries SET tries = tries + 1, lease = ?, due_at = ? WHERE video_id = ?"
AGAIN = "UPDATE deliveries SET due_at = ?, cause = ?, lease = NULL WHERE video_id = ? AND lease = ?"
END = "UPDATE deliveries SET state = ?, cause = ?, secret = NULL, lease = NULL WHERE video_id = ? AND lease = ?"


@dataclass(frozen=True)
class Parcel:
    """One attempt to deliver."""

    video_id: str
    lease: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    tries: int  # this one included


class Owed:
    """Deliveries of a ledger. `pauses_s` lie between the attempts; one that runs longer than `hold_s` is another's."""

    def __init__(self, ledger: Ledger, pauses_s: Sequence[float], hold_s: float) -> None:
        self._ledger, self.pauses_s, self.hold_s = ledger, pauses_s, hold_s

    def take(self) -> Parcel | None:
        """Take what is due; None where nothing is."""
        now = time.time()
        with self._ledger.transaction() as db:
            while row := db.execute(NEXT, (now,)).fetchone():
                if row["tries"] <= len(self.pauses_s):
                    return self._taken(db, row, now)
                lost = (Sent.GIVEN_UP, row["cause"] or "the service ended at every attempt", row["video_id"])
                db.execute(END.replace("lease = ?", "lease IS ?"), (*lost, row["lease"]))
        return None

    def _taken(self, db: sqlite3.Connection, row: sqlite3.Row, now: float) -> Parcel:
        lease = secrets.token_hex(16)
        db.execute(TAKE, (lease, now + self.hold_s, row["video_id"]))
        return Parcel(row["video_id"], lease, row["url"], row["secret"], row["tries"] + 1)

    def again(self, parcel: Parcel, cause: str, pause_s: float) -> None:
        """Try once more after a pause, unless this was the last time."""
        if parcel.tries > len(self.pauses_s):
            self.end(parcel, Sent.GIVEN_UP, cause)
            return
        with self._ledger.transaction() as db:
            db.execute(AGAIN, (time.time() + pause_s, cause, parcel.video_id, parcel.lease))

    def end(self, parcel: Parcel, sent: Sent, cause: str | None = None) -> None:
        """Note how it ended, and forget the secret."""
        with self._ledger.transaction() as db:
            db.execute(END, (sent, cause, parcel.video_id, parcel.lease))
