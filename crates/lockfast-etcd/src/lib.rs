//! Locks of lockfast on etcd.
