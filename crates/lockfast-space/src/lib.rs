//! A space of named locks, chosen by a URL.
