//! The HTTP contract, without a framework.
