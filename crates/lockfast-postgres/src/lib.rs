//! Locks of lockfast on PostgreSQL.
