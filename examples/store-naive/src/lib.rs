//! A store of one's own: the ports on plain collections.
