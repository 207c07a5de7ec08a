#![no_main]

libfuzzer_sys::fuzz_target!(init: identsphere_fuzz::prepare(), |bytes: &[u8]| identsphere_fuzz::origin(bytes));
