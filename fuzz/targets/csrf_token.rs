#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| identsphere_fuzz::csrf_token(bytes));
