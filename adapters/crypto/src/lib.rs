//! Cryptography: signing, key generation, password hashing, sealing.
