#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| identsphere_fuzz::factors::passkey_registration(bytes));
