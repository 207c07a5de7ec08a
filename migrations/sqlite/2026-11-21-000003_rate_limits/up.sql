-- A bucket is the instant from which it is full again (the theoretical arrival time of the generic cell rate
-- algorithm). A row whose instant has passed says no more than a row that is absent.
CREATE TABLE rate_limits (
    bucket BLOB NOT NULL,
    arrival_at TEXT NOT NULL,
    PRIMARY KEY (bucket)
) STRICT, WITHOUT ROWID;

CREATE INDEX rate_limits_arrival_at_idx ON rate_limits (arrival_at);
